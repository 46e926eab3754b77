/** What a user's own strategy, patch or scenario may need of the engine: its words, its facts and the seam. */
export * from './abi.ts';
export * from './exits.ts';
export * from './facts.ts';
export type * from './machine.ts';
export type * from './observation.ts';
export * from './policy.ts';
export * from './steps.ts';
