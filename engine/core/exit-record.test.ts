/** What the core writes into kvm_run at an exit is what the table of exits says of it. */
import { expect, test } from 'vitest';
import { PROT_READ, PROT_WRITE } from '../abi.ts';
import { EXITS, type ExitName, exitOf } from '../exits.ts';
import { createCoreMachine } from './core-machine.ts';

const CODE = 0x1000;
/** Mapped PROT_READ in a plain slot. */
const PROTECTED = 0x20000;

test.each<[ExitName, readonly number[]]>([
  ['mmio-read', [0x8b, 0x1d, 0, 0, 5, 0]],
  ['mmio-write', [0xa2, 0, 0, 5, 0]],
  ['io', [0xe6, 0x80]],
  ['hlt', [0xf4]],
  ['internal-error', [0xd9, 0x1d, 0, 0, 5, 0]],
  ['shutdown', [0x0f, 0x0b]],
  ['efault', [0xa2, 0, 0, 2, 0]],
  ['intr', [0xeb, 0xfe]],
])('%s: kvm_run is filled as its row says, and no further', (name, code) => {
  const m = createCoreMachine({ series: [], budget: 2 ** 16 });
  for (const [slot, at, prot] of [
    [0, 0, PROT_READ | PROT_WRITE],
    [1, PROTECTED, PROT_READ],
  ] as const) {
    const backing = m.createBacking({ kind: 'shm', bytes: 0x4000 });
    const userspaceAddr = m.mmap({ backing, prot, shared: true });
    m.setUserMemoryRegion({ slot, flags: 0, guestPhysAddr: at, memorySize: 0x4000, userspaceAddr });
    if (slot === 0) m.poke(backing, CODE, Uint8Array.from(code));
  }
  m.setupVcpu({ mode: 'prot32', regs: { rip: CODE, rsp: 0x3000 } });
  const before = { physAddr: -1, len: -1, port: -1, suberror: -1, unsupported: '?' };
  Object.assign(m.exit, before);
  expect(exitOf(m.run(), m.exit)).toBe(name);
  const carries: readonly string[] = EXITS[name].carries;
  const filled = Object.entries(before).filter(
    ([field, was]) => m.exit[field as keyof typeof before] !== was,
  );
  expect(filled.map(([field]) => field)).toEqual(Object.keys(before).filter((f) => carries.includes(f)));
});
