import node from '@astrojs/node';
import { defineConfig } from 'astro/config';

export default defineConfig({ base: process.env.BASE_PATH || '/', output: 'server', adapter: node({ mode: 'standalone' }) });
