const express = require('express');
const cookieParser = require('cookie-parser');

const app = express();
const entries = [{ text: 'first' }];
app.use(cookieParser());
app.use(express.json());
app.use(express.urlencoded({ extended: true }));
app.use((req, res, next) => {
  res.cookie('sid', 'abc', { httpOnly: true });
  next();
});
app.use(express.static('public'));
app.get('/api/entries', (req, res) => res.json(entries));
app.post('/api/entries', (req, res) => {
  entries.push({ text: req.body.text });
  res.status(201).json(entries.at(-1));
});
app.post('/sign', (req, res) => res.redirect(303, '/about.html'));
app.get('/go', (req, res) => res.redirect('/about.html'));
app.listen(process.env.PORT || 3000, () => console.log('listening'));
