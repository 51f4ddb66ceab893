export default defineEventHandler((event) => {
  setCookie(event, 'sid', 'abc', { path: '/' });
  return entries;
});
