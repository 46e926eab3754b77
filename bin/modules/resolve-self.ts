/**
 * A module hook: a user's module may say `import { defineScenario } from 'faultline/scenarios'` wherever it lies, and
 * gets this very program, installed near it or not.
 */
import type { ResolveHook } from 'node:module';

/** Node's resolve hook. */
export const resolve: ResolveHook = (specifier, context, next) => {
  const room = /^faultline\/(engine|scenarios|strategies)$/.exec(specifier)?.[1];
  if (room === undefined) return next(specifier, context);
  return { url: new URL(`../../${room}/index.js`, import.meta.url).href, shortCircuit: true };
};
