export default defineNuxtConfig({
  app: { baseURL: `${process.env.BASE_PATH ?? ''}/` },
  compatibilityDate: '2025-05-15',
  css: ['~/assets/main.css'],
  telemetry: false,
});
