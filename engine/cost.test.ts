import { expect, test } from 'vitest';
import { type CostProfile, predictProbe, priceLife, priceOf } from './cost.ts';

const PROFILE: CostProfile = {
  name: 'sample',
  kernel: 'none',
  unit: 'TSC ticks',
  overhead: 6,
  steps: { 'world-switch': 1000, 'page-fault': 500, syscall: 0 },
};

test('a run costs its steps times their prices, and the parts add up', () => {
  const cost = priceOf(PROFILE, { 'world-switch': 4, 'page-fault': 2, syscall: 3 }, 2);
  expect(cost).toEqual({
    profile: 'sample',
    unit: 'TSC ticks',
    total: 5000,
    perOperation: 2500,
    byStep: { 'world-switch': 4000, 'page-fault': 1000, syscall: 0 },
  });
});

test('a step without a price is told, not taken for free', () => {
  const cost = priceOf(PROFILE, { 'world-switch': 1, 'guest-walk': 7, 'no-such-step': 1, inject: 0 }, 1);
  expect(cost.total).toBe(1000);
  expect(cost.unpriced).toEqual({ 'guest-walk': 7, 'no-such-step': 1 });
});

test('a run that did no operation has the price of its whole', () => {
  expect(priceOf(PROFILE, { 'world-switch': 1 }, 0).perOperation).toBe(1000);
});

test('a probe shows the overhead of measuring too', () => {
  expect(predictProbe(PROFILE, { 'page-fault': 0.5 })).toBe(256);
});

test('entries in the life of a fault are priced where they did work', () => {
  const head = { rip: '0', instruction: '', gpa: '0', access: 'write', facts: '', faults: {} } as const;
  const steps = [
    { at: 'make_spte()', says: 'b', work: ['world-switch', 'page-fault', 'inject'] },
    { at: 'KVM_RUN', says: 'd' },
    { at: 'walk_addr_generic()', says: 'f', work: ['guest-walk'] },
  ] as const;
  const [life] = priceLife(PROFILE, [{ ...head, steps }]);
  expect(life?.steps.map((s) => s.instructions)).toEqual([1500, undefined, undefined]);
});
