/** The core keeps the contract of a Machine under both kinds of paging. */
import { describe, expect, test } from 'vitest';
import { findStrategy } from '../../strategies/index.ts';
import { MACHINE_CONTRACT } from '../contract/contract.ts';
import type { Machine } from '../machine.ts';
import { createCoreMachine } from './core-machine.ts';

const { series } = findStrategy('readonly-memslot')!;

describe.each(['npt', 'shadow'] as const)('a core machine, %s', (paging) => {
  test.each(MACHINE_CONTRACT)('$name', ({ check }) => {
    expect(check(() => createCoreMachine({ series, paging }))).toBeUndefined();
  });
});

describe('the contract sees what is wrong', () => {
  const broken = (wrong: (m: Machine) => void): string[] =>
    MACHINE_CONTRACT.filter(({ check }) =>
      check(() => {
        const machine = createCoreMachine({ series });
        wrong(machine);
        return machine;
      }),
    ).map(({ name }) => name);

  test('a kernel without the flag fails where the flag matters', () => {
    const failed = MACHINE_CONTRACT.filter(({ check }) => check(() => createCoreMachine({ series: [] })));
    expect(failed.map((c) => c.name)).toContain(
      'a store to a read-only slot leaves as MMIO and does not land; a read does not leave',
    );
  });

  test('an engine that tells more than it says', () => {
    expect(broken((m) => Object.assign(m, { observes: new Set() }))).toContain(
      'an engine tells what it says it observes, and nothing else',
    );
  });

  test('an alias that writes nothing', () => {
    expect(broken((m) => Object.assign(m, { poke: () => undefined })).length).toBeGreaterThan(5);
  });
});
