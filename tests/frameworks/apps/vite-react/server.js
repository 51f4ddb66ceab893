import express from 'express';
import path from 'node:path';

const dist = path.join(import.meta.dirname, 'dist');
const app = express();
const entries = [{ text: 'first' }];
app.use(express.json());
app.use((req, res, next) => {
  res.cookie('sid', 'abc', { httpOnly: true });
  next();
});
app.get('/api/entries', (req, res) => res.json(entries));
app.post('/api/entries', (req, res) => {
  entries.push({ text: req.body.text });
  res.status(201).json(entries.at(-1));
});
app.post('/sign', (req, res) => res.redirect(303, '/about'));
app.get('/go', (req, res) => res.redirect('/about'));
app.use(express.static(dist));
app.get('/{*rest}', (req, res) => res.sendFile(path.join(dist, 'index.html')));
app.listen(process.env.PORT || 3000, () => console.log('listening'));
