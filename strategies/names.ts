/** The names of the strategies that come with the program: what a scenario's table of claims has to cover. */
export const STRATEGY_NAMES = [
  'mmap-prot-read',
  'shm-multi-map',
  'gup-nowait-reasons',
  'readonly-memslot',
  'readonly-memslot-v3',
  'readonly-memslot-v4',
  'readonly-memslot-v5',
  'coexist',
  'private-cow',
  'no-slot-mmio',
  'writable-slot',
  'efault-skip',
] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];
