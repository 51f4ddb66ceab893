export default defineEventHandler(async (event) => {
  const { text } = await readBody(event);
  entries.push({ text });
  setResponseStatus(event, 201);
  return { text };
});
