/** Guests of random bytes, under every strategy and both pagings: a fate for each, and the same one twice. */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { createCoreMachine } from '../../../engine/core/core-machine.ts';
import { defineScenario, ram, rom } from '../../../scenarios/index.ts';
import { FATES } from '../../../scenarios/run/comparison.ts';
import { prepareProgram, runProgram } from '../../../scenarios/run/run.ts';
import { STRATEGIES } from '../../../strategies/index.ts';
import { extent, MINUTES, patience, Tally } from './extent.ts';

const SHARE = 0.4;
const ROM = 0x1_0000;
/** Instructions one KVM_RUN may take: what a loop does after that, it did before. */
const BUDGET = 2 ** 15;

/** Bytes that make instructions which reach the ROM, and bytes that make anything. */
const reaching = fc
  .tuple(
    fc.constantFrom(0x88, 0x89, 0x8a, 0x8b, 0x00, 0x01, 0x31, 0x87, 0xfe, 0xff, 0xc6, 0xd0, 0xf6, 0x84),
    fc.integer({ min: 0, max: 7 }),
    fc.integer({ min: ROM - 8, max: ROM + 0x2008 }),
  )
  .map(([op, reg, at]) => [op, (reg << 3) | 5, at & 255, (at >> 8) & 255, (at >> 16) & 255, 0]);
const anything = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 8 });
const prefixed = fc
  .tuple(fc.constantFrom(0x66, 0xf0, 0xf2, 0xf3, 0x0f, 0x2e, 0x67), reaching)
  .map(([prefix, bytes]) => [prefix, ...bytes]);
const code = fc.array(fc.oneof(reaching, prefixed, anything), { minLength: 1, maxLength: 12 });

const guest = fc.record({
  code: code.map((parts) => parts.flat()),
  mode: fc.constantFrom('prot32' as const, 'long64' as const),
  strategy: fc.constantFrom(...STRATEGIES),
  paging: fc.constantFrom('npt' as const, 'shadow' as const),
  twice: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
});

const tally = new Tally('guests');
afterAll(() => tally.tell());

test(
  'random guests',
  async () => {
    await fc.assert(
      fc.asyncProperty(guest, async ({ code: bytes, mode, strategy, paging, twice }) => {
        const scenario = defineScenario({
          name: 'random',
          asks: 'What becomes of it?',
          operation: 'byte',
          source: 'nobody',
          mode,
          memory: { bios: rom(ROM, 0x2000), more: ram(0x2_0000, 0x1000) },
          guest: (g) => g.raw(...bytes, 0xf4),
          operations: () => 0,
        });
        const once = () => {
          const program = prepareProgram(scenario, {}, 1);
          const machine = createCoreMachine({ series: strategy.series, paging, budget: BUDGET });
          return runProgram(program, strategy, paging, machine, async () => false);
        };
        const run = await once();
        expect(FATES).toContain(run?.fate);
        expect(run?.because).toMatch(/\.$/);
        if (twice) expect(await once()).toEqual(run);
        tally.add(run?.fate ?? 'none');
      }),
      extent(200, SHARE),
    );
    if (MINUTES > 0) expect(tally.grownMiB()).toBeLessThan(300);
  },
  patience(SHARE),
);
