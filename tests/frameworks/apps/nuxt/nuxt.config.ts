export default defineNuxtConfig({
  compatibilityDate: '2025-05-15',
  css: ['~/assets/main.css'],
  telemetry: false,
});
