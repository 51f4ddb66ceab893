export const entries = [{ text: 'first' }];
