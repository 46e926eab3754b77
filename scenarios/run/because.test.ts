/** Sentences about what no scenario or strategy of this program does, but a user's may. */
import { expect, test } from 'vitest';
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import { BAD_PAGE_EMULATE } from '../../engine/policy.ts';
import { defineStrategy, findStrategy } from '../../strategies/index.ts';
import { lives } from '../language/claims.ts';
import { checkScenario } from '../language/modules.ts';
import { rom } from '../language/regions.ts';
import { at, ebx, edi } from '../language/registers.ts';
import { defineScenario, type Scenario } from '../language/scenario.ts';
import romWrite from '../readonly-memory/guest/rom-write.ts';
import type { Run } from './comparison.ts';
import { compare } from './runner.ts';

const plain = findStrategy('mmap-prot-read')!;

async function one(scenario: Scenario, strategy = plain): Promise<Run> {
  const { runs } = await compare({
    scenarios: [scenario],
    strategies: [strategy],
    paging: 'npt',
    seed: 1,
    params: {},
    version: '0',
    command: 'test',
    createMachine: createCoreMachine,
  });
  return runs[0]!;
}

const circles = defineScenario({
  name: 'circles',
  asks: 'Does it end?',
  operation: 'turn',
  source: 'test',
  memory: { bios: rom(0xf_0000, 0x1000) },
  guest(g) {
    g.label('again');
    g.jump('again');
  },
  operations: () => 1,
});

test("an instruction Faultline does not know is nobody's fate, and no claim is held against it", async () => {
  const fma = defineScenario({
    ...circles,
    name: 'fma',
    // vfmadd132ps xmm0, xmm1, xmm2
    guest: (g) => g.raw(0xc4, 0xe2, 0x71, 0x98, 0xc2),
    claims: () => ({ 'mmap-prot-read': lives('test') }),
  });
  const run = await one(fma);
  expect([run.fate, run.claims, run.predictions]).toEqual(['unsupported', [], []]);
  expect(run.detail).toContain('`vfmadd132ps xmm0,xmm1,xmm2` at rip 1000');
});

test('a store that a series of its own has emulated is not said to have met no slot', async () => {
  const mine = defineStrategy({
    ...plain,
    name: 'mine',
    series: [
      {
        name: 'emulate',
        subject: 'emulate',
        source: 'test',
        apply: () => ({ handleBadPage: () => BAD_PAGE_EMULATE }),
      },
    ],
  });
  const run = await one(romWrite, mine);
  expect([run.fate, run.exits['mmio-write']]).toEqual(['ok', 256]);
  expect(run.because).toContain('this series has such an access emulated');
});

test('a scenario without claims is one, and a guest that turns in circles is said to', async () => {
  expect(checkScenario({ default: circles }, 'x')).toEqual({ value: circles });
  const run = await one(circles);
  expect([run.fate, run.claims]).toEqual(['livelock', []]);
  expect(run.because).toContain('runs in circles of its own, without a fault');
});

test('a guest that exits for ever is given up on', async () => {
  const run = await one({
    ...circles,
    guest(g) {
      g.set(edi, 0xe_0000);
      g.label('again');
      g.storeByte(at(edi), 1);
      g.jump('again');
    },
  });
  expect(run.fate).toBe('livelock');
  expect(run.because).toContain('exits over and over');
});

test('times() wants a number of times', async () => {
  const bad = { ...circles, guest: (g: Parameters<Scenario['guest']>[0]) => g.times(Number.NaN, () => {}) };
  await expect(one(bad)).rejects.toThrow('scenario circles: times(NaN): expected a whole number below 2^32');
});

test('a flag that the kernel does not know is said to be ignored', async () => {
  const { layout } = findStrategy('readonly-memslot')!;
  const mine = defineStrategy({ ...plain, name: 'flag-only', layout, series: [] });
  const run = await one(romWrite, mine);
  expect([run.fate, run.romIntact]).toEqual(['corrupt', false]);
  expect(run.because).toContain('This kernel does not know KVM_MEM_READONLY');
});

const reads = (name: string, more: Partial<Scenario> = {}): Scenario => ({
  ...defineScenario({
    ...circles,
    name,
    guest(g, places) {
      g.set(edi, places.bios!.at);
      g.load(ebx, at(edi));
      g.done();
      g.halt();
    },
  }),
  ...more,
});

test('a store is not blamed where the guest only read', async () => {
  const lazy = reads('lazy', { memory: { bios: rom(0xf_0000, 0x1000, { absent: true }) } });
  const run = await one(lazy, findStrategy('readonly-memslot')!);
  expect([run.fate, run.exits['mmio-read']]).toEqual(['ok', 1]);
  expect(run.because).toContain('The guest only read');
});

test('nobody wrote the private copy of a ROM that was only read wrong', async () => {
  const run = await one(reads('wrong', { expect: () => ({ ebx: 1 }) }), findStrategy('private-cow')!);
  expect(run.fate).toBe('corrupt');
  expect(run.because).toBe('The ROM is as it was, but the guest did not read what it should have.');
});

test('a page that the host does not have is not blamed on VM_WRITE', async () => {
  const gone = reads('gone', { before: (vmm) => void vmm.machine.munmap(vmm.memory('bios').hva) });
  const run = await one(gone);
  expect(run.fate).toBe('efault');
  expect(run.because).toContain('Nothing is mapped at the host address');
});
