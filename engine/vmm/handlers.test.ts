/** A VMM's answers as code: each handler on a real guest, and the slot calls that a scenario makes by hand. */
import { describe, expect, test } from 'vitest';
import type { Scenario } from '../../scenarios/index.ts';
import {
  at,
  defineScenario,
  eax,
  ebx,
  edi,
  edx,
  esi,
  findScenario,
  rom,
  type Vmm,
} from '../../scenarios/index.ts';
import type { Run } from '../../scenarios/run/comparison.ts';
import { compare } from '../../scenarios/run/runner.ts';
import { findStrategy, type Strategy } from '../../strategies/index.ts';
import { createCoreMachine } from '../core/core-machine.ts';
import type { Answers } from './answers.ts';

async function run(scenario: Scenario, strategy: Strategy): Promise<Run> {
  const c = await compare({
    scenarios: [scenario],
    strategies: [strategy],
    paging: 'npt',
    seed: 1,
    params: {},
    version: '0',
    command: 'compare',
    createMachine: ({ series, paging, budget }) => createCoreMachine({ series, paging, budget }),
  });
  return c.runs[0]!;
}

const romWrite = findScenario('rom-write')!;
/** A plain slot over a PROT_READ mapping, with a VMM that has something to say. */
const mapped = (vmm: Answers): Strategy => ({ ...findStrategy('shm-multi-map')!, name: 'mine', vmm });
const flagged = (vmm: Answers): Strategy => ({ ...findStrategy('readonly-memslot')!, name: 'mine', vmm });

describe('-EFAULT', () => {
  test('retry makes the mapping writable: the VM lives, and the store is in the ROM', async () => {
    const r = await run(romWrite, mapped({ onEfault: 'retry' }));
    expect([r.fate, r.exits.efault, r.operations]).toEqual(['corrupt', 1, 256]);
    expect(r.because).toMatch(/made the mapping writable/);
  });

  test('a handler that takes the store as meant', async () => {
    const r = await run(romWrite, mapped({ onEfault: (vmm) => void vmm.unlock('bios') }));
    expect([r.fate, r.exits.efault]).toEqual(['ok', 1]);
  });

  test('a handler that decodes, counts and drops', async () => {
    const r = await run(
      romWrite,
      mapped({
        onEfault: (vmm, _exit, stopped) => {
          vmm.note('dropped', Number(vmm.notes.dropped ?? 0) + 1);
          return stopped?.memory?.write ? 'skip' : 'die';
        },
      }),
    );
    expect([r.fate, r.exits.efault, r.romIntact]).toEqual(['ok', 256, true]);
  });

  test('a handler that changes nothing is found by a bound', async () => {
    const r = await run(romWrite, mapped({ onEfault: () => 'retry' }));
    expect(r.fate).toMatch(/livelock|gave-up/);
  });

  test('an answer nobody knows is told by name', async () => {
    const wrong = mapped({ onEfault: () => 'retri' as 'retry' });
    await expect(run(romWrite, wrong)).rejects.toThrow(/onEfault\(\) returned "retri": expected .*'skip'/);
  });
});

describe('MMIO and ports', () => {
  test('a store that the VMM lets through after all', async () => {
    const r = await run(
      romWrite,
      flagged({
        onMmio: (vmm, exit) => {
          vmm.memory('bios').poke(exit.physAddr - vmm.memory('bios').at, exit.data.slice(0, exit.len));
          return undefined;
        },
      }),
    );
    expect([r.fate, r.exits['mmio-write']]).toEqual(['ok', 256]);
  });

  test('a VMM that gives up at the third store', async () => {
    let stores = 0;
    const r = await run(romWrite, flagged({ onMmio: () => (++stores < 3 ? 'default' : 'die') }));
    expect([r.fate, r.operations]).toEqual(['refused', 2]);
    expect(r.detail).toMatch(/gave up at KVM_EXIT_MMIO: write of 4/);
  });

  test('a region that is mapped at its first exit', async () => {
    const lazy = defineScenario({
      name: 'lazy',
      asks: 'Is one exit enough?',
      operation: 'read',
      source: 'gVisor',
      memory: { bios: rom(0xf0000, 0x1_0000, { absent: true }) },
      guest(g, { bios }) {
        g.set(edi, bios.at);
        g.times(8, () => {
          g.load(ebx, at(edi));
          g.done();
        });
        g.halt();
      },
      operations: () => 8,
    });
    const onMmio = (vmm: Vmm): 'default' => {
      vmm.install('bios');
      return 'default';
    };
    const r = await run(lazy, mapped({ onMmio }));
    expect([r.fate, r.exits['mmio-read'], r.slotOps]).toEqual(['ok', 1, 1]);
  });

  test('a port of the VMM’s own', async () => {
    const ports = defineScenario({
      name: 'ports',
      asks: 'What is behind the port?',
      operation: 'read',
      source: 'a test',
      memory: { bios: rom(0xf0000, 0x1000) },
      actions: { look: () => undefined },
      guest(g) {
        g.vmm('look');
        g.done();
        g.halt();
      },
      operations: () => 1,
    });
    const seen: number[] = [];
    const r = await run(ports, flagged({ onPort: (_vmm, exit) => void seen.push(exit.port) }));
    // The scenario's own port is not the strategy's business.
    expect([r.fate, seen]).toEqual(['ok', []]);
  });
});

describe('a slot that moves', () => {
  const move =
    (to: number, by: 'hand' | 'vmm') =>
    (vmm: Vmm): void => {
      const m = vmm.memory('bios');
      if (by === 'vmm') {
        vmm.move('bios', to);
        return;
      }
      const ret = vmm.machine.setUserMemoryRegion({
        slot: m.slot,
        flags: m.flags,
        guestPhysAddr: to,
        memorySize: 0x4000,
        userspaceAddr: m.hva,
      });
      vmm.note(`move ${to.toString(16)}`, ret);
    };

  test.each(['hand', 'vmm'] as const)(
    'by %s: the guest sees it where it is, and a hole where it was',
    async (by) => {
      const scenario = defineScenario({
        name: 'slot-move',
        asks: 'A read-only slot moved a page down and back: what does the guest read?',
        operation: 'read',
        source: 'set_memory_region_test of the KVM selftests',
        memory: { bios: rom(0xf0000, 0x4000) },
        actions: { down: move(0xef000, by), back: move(0xf0000, by) },
        guest(g, { bios }) {
          g.set(edi, bios.at);
          g.load(ebx, at(edi));
          g.vmm('down');
          g.load(edx, at(edi));
          g.load(esi, at(edi, 0x3000));
          g.vmm('back');
          g.load(eax, at(edi));
          g.done();
          g.halt();
        },
        operations: () => 1,
        expect: ({ bios }) => {
          const word = (offset: number): number => new DataView(bios.image.buffer).getUint32(offset, true);
          return { ebx: word(0), edx: word(0x1000), esi: 0xffff_ffff, eax: word(0) };
        },
      });
      const r = await run(scenario, findStrategy('readonly-memslot')!);
      expect([r.fate, r.exits['mmio-read']]).toEqual(['ok', 1]);
    },
  );
});

test('a ROM of a few pages over huge pages: one fault for all of them, and refused stores leave it whole', async () => {
  const { layout, series } = findStrategy('readonly-memslot')!;
  const huge = {
    ...findStrategy('readonly-memslot')!,
    name: 'huge',
    layout: { ...layout, backing: 'hugetlb' as const },
    series,
  };
  const r = await run(romWrite, huge);
  expect([r.fate, r.exits['mmio-write'], r.romIntact]).toEqual(['ok', 256, true]);
});
