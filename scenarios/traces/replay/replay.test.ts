/** A real boot run again: what has to come out as recorded, and where it would have died. */
import { beforeAll, describe, expect, test } from 'vitest';
import { createCoreMachine } from '../../../engine/core/core-machine.ts';
import coexist from '../../../strategies/coexist.ts';
import gupNowaitReasons from '../../../strategies/gup-nowait-reasons.ts';
import mmapProtRead from '../../../strategies/mmap-prot-read.ts';
import noSlotMmio from '../../../strategies/no-slot-mmio.ts';
import readonlyMemslot from '../../../strategies/readonly-memslot/readonly-memslot.ts';
import shmMultiMap from '../../../strategies/shm-multi-map.ts';
import writableSlot from '../../../strategies/writable-slot.ts';
import { loadText } from '../../data/recordings.ts';
import type { VmExit } from '../read/vm-exit.ts';
import { accessOf } from './access.ts';
import { slotsFromPages } from './memory-plan.ts';
import { codePage, ROWS, tableOf } from './replay-guest.ts';
import { exitsOf, replayed, surveyed } from './testing.ts';

let boot: string[] = [];
let log: string[] = [];
beforeAll(() => {
  boot = loadText('seabios-boot.ftrace.gz').trimEnd().split('\n');
  log = loadText('seabios-boot.memslots.log.gz').trimEnd().split('\n');
});

describe('SeaBIOS under QEMU', () => {
  test('the log is placed where pages that had been mapped fault again', () => {
    const { placement } = surveyed(boot, log);
    expect(placement).toMatchObject({ contradictions: 0, unexplained: [] });
    const shown = placement.placed.filter((p) => p.by === 'entries that went');
    // PAM opened by two configuration writes, SMRAM opened and closed, an option ROM gone, PAM closed by two more.
    expect(shown.map((p) => [p.after, p.batch.calls.length])).toEqual([
      [611, 16],
      [619, 10],
      [2268, 6],
      [2297, 3],
      [2782, 2],
      [30542, 15],
      [30552, 8],
    ]);
    // The option ROM's slot is first used where the BIOS reads its header.
    expect(placement.placed.filter((p) => p.by === 'first use')).toMatchObject([{ shownAt: 2628 }]);
    expect(placement.placed.reduce((sum, p) => sum + p.batch.calls.length, 0)).toBe(78);
  });

  test('under the merged series every fault and every slot call comes out as recorded', () => {
    const { replay, held } = replayed(createCoreMachine, boot, log, readonlyMemslot);
    expect(replay.death).toBeUndefined();
    expect(held.differences).toEqual([]);
    expect(held.places).toEqual({
      rom: { accesses: 70, same: 70 },
      ram: { accesses: 357, same: 357 },
      device: { accesses: 913, same: 913 },
    });
    expect(held).toMatchObject({ slotCalls: 78, slotCallsSame: 78, slotCallsLeftOut: 0 });
    // One of the 1,341 faults is in system management mode.
    expect(held.leftOut).toMatchObject([{ count: 1, firstLines: [5245] }]);
    expect(held.faults).toBe(1_340);
  });

  test.each([mmapProtRead, shmMultiMap, gupNowaitReasons, coexist, writableSlot])(
    'it stores to no ROM, so it lives under $name too, as long as its ROMs are in memory',
    (strategy) => {
      const { replay, held } = replayed(createCoreMachine, boot, log, strategy);
      expect(replay.death).toBeUndefined();
      expect(held.differences).toEqual([]);
      expect(held.romStores).toBe(0);
    },
  );

  test('with cold ROMs it dies under mmap-prot-read at its first instruction', () => {
    const { replay } = replayed(createCoreMachine, boot, log, mmapProtRead, true);
    expect(replay.death).toMatchObject({ access: { line: 2, kind: 'fetch', gpa: 0xffff_fff0 }, errno: 14 });
  });

  // Of shared memory nobody is sent away without a page.
  test.each([shmMultiMap, gupNowaitReasons, readonlyMemslot])(
    'with cold ROMs it lives under $name',
    (strategy) => {
      const { replay, held } = replayed(createCoreMachine, boot, log, strategy, true);
      expect(replay.death).toBeUndefined();
      expect(held.differences).toEqual([]);
    },
  );

  test('without slots for ROMs its first instruction cannot be fetched', () => {
    const { replay, held } = replayed(createCoreMachine, boot, log, noSlotMmio);
    expect(replay.death?.access.line).toBe(2);
    expect(held.slotCallsLeftOut).toBeGreaterThan(0);
  });

  test('the work of slot calls, of faults after them and of the replay itself is told apart', () => {
    const { replay } = replayed(createCoreMachine, boot, log, readonlyMemslot);
    const { slots, refaults, accesses, own } = replay.ledger.steps;
    expect(slots).toEqual({ syscall: 78, 'slot-change': 78 });
    // Every fault that mapped memory is in one of the two; those on devices are not in the first.
    expect((refaults['stage2-map'] ?? 0) + (accesses['stage2-map'] ?? 0)).toBe(427 + 13);
    expect(refaults['mmio-exit']).toBeUndefined();
    expect(accesses['mmio-exit']).toBe(913);
    expect(own.pio).toBe(replay.ownExits);
  });

  test('a log that is not of this boot is found out', () => {
    // The same calls without the two that show the option ROM.
    const wrong = log.filter((l) => !l.includes('gpa=0xfebe0000'));
    expect(surveyed(boot, wrong).placement.contradictions).toBeGreaterThan(5);
    const { placement } = surveyed(boot, log.slice(0, 2));
    expect(placement.unexplained.length).toBeGreaterThan(0);
  });
});

test('without a log, stores that never make an entry for MMIO were refused by a read-only slot', () => {
  const store = (gpa: string, code: string): string[] => [
    ` q-1 [000] .... 1.000000: kvm_exit: vcpu 0 reason npf rip 0x10 info1 0x6 info2 0x${gpa} intr_info 0x0 error_code 0x0`,
    ` q-1 [000] .... 1.000000: kvm_page_fault: vcpu 0 rip 0x10 address 0x${gpa} error_code ${code}`,
    ` q-1 [000] .... 1.000000: kvm_mmio: mmio write len 4 gpa 0x${gpa} val 0x1`,
  ];
  const rom = [...store('f0000', '0x100000006'), ...store('f0010', '0x100000006')];
  const device = [...store('fd000000', '0x100000006'), ...store('fd000010', '0x10000000e')];
  const { survey } = surveyed([...rom, ...device], []);
  expect(survey.pages().get(0xf0)).toMatchObject({ refused: true, device: undefined });
  expect(survey.pages().get(0xfd000)).toMatchObject({ refused: false });
  expect(slotsFromPages(survey.pages())).toMatchObject([{ gpa: 0xf0000, size: 0x1000, flags: 2 }]);
});

describe('accesses', () => {
  const one = (...lines: string[]): ReturnType<typeof accessOf> => {
    const exits: VmExit[] = [];
    exitsOf(
      lines.map((l, i) => ` q-1 [000] .... 1.00000${i}: ${l}`),
      { onExit: (e) => exits.push(e) },
    );
    const [exit] = exits;
    if (exit === undefined) throw new Error('no exit');
    return accessOf(exit);
  };

  test.each([
    ['kvm_page_fault: address f0000 error_code 6', { kind: 'write', present: false, mmioEntry: false }],
    ['kvm_page_fault: address f0000 error_code 14', { kind: 'fetch' }],
    [
      'kvm_page_fault: vcpu 0 rip 0x10 address 0xf0000 error_code 0x10000000f',
      { kind: 'write', present: true, mmioEntry: true },
    ],
    ['kvm_page_fault: address f0000 error_code 181', { kind: 'read', present: false }],
    ['kvm_page_fault: address f0000 error_code 184', { kind: 'fetch', present: false }],
    ['kvm_page_fault: address f0000 error_code 1aa', { kind: 'write', present: true, mmioEntry: false }],
  ])('%s', (line, fields) => {
    expect(one(line)).toMatchObject({ gpa: 0xf0000, len: 1, ...fields });
  });

  test('EPT_MISCONFIG is an access without a page fault, known by what the emulator did', () => {
    const lines = [
      'kvm_exit: reason EPT_MISCONFIG rip 0x10 info 0 0',
      'kvm_mmio: mmio write len 4 gpa 0xfee000b0 val 0x0',
    ];
    expect(one(...lines)).toMatchObject({
      gpa: 0xfee0_00b0,
      kind: 'write',
      len: 4,
      fault: false,
      mmioEntry: true,
      outcome: 'mmio-write',
    });
  });

  test('what cannot be replayed says why', () => {
    expect(one('kvm_exit: reason hlt rip 0x10 info 0 0')).toBe('no memory access');
    expect(
      one(
        'kvm_exit: reason EXCEPTION_NMI rip 0x10 info 0 0',
        'kvm_page_fault: address 7f00deadbeef error_code 6',
      ),
    ).toBe('shadow paging');
    expect(one('kvm_page_fault: vcpu 0 rip 0x1 address 0x0000000123456000 error_code 0x100000006')).toBe(
      'above 4 GiB',
    );
  });
});

test('a table of accesses and its code fit their pages', () => {
  expect(codePage(0xf000_0000)).toHaveLength(4096);
  expect(tableOf([]).length).toBe(8);
  expect((ROWS + 1) * 8).toBe(4096);
});
