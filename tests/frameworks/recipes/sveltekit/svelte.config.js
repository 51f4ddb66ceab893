import adapter from '@sveltejs/adapter-node';

export default { kit: { adapter: adapter(), paths: { base: process.env.BASE_PATH ?? '' } } };
