export default defineEventHandler((event) => sendRedirect(event, '/about', 303));
