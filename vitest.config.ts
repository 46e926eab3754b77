import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{bin,engine,scenarios,strategies,reports}/**/*.test.ts'],
    // Against tests that never end; how long a busy machine takes is no matter.
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});
