/** What is written as ftrace text has to be read back as it was. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadText } from '../../scenarios/data/recordings.ts';
import { one, read } from '../../scenarios/traces/read/testing.ts';
import type { TraceEvent } from '../../scenarios/traces/read/trace-event.ts';
import { ftraceLine } from './ftrace-text.ts';

test('a real boot written as ftrace text reads back to the same events', () => {
  const { events } = read(loadText('seabios-boot.ftrace.gz').trimEnd().split('\n'));
  const again = read(events.map(ftraceLine));
  expect(again.summary.malformed).toBe(0);
  expect(again.events).toEqual(events);
});

test('any event written as ftrace text reads back as it was', () => {
  const hex = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => n.toString(16));
  const small = fc.nat({ max: 0xffff });
  const gpa = fc.maxSafeNat();
  const vcpu = fc.option(fc.nat({ max: 300 }), { nil: undefined });
  const place = {
    time: fc.nat({ max: 10 ** 12 }).map((us) => us / 1e6),
    thread: fc.integer({ min: 1, max: 4_000_000 }),
    cpu: fc.nat({ max: 999 }),
    task: fc.constantFrom('qemu-system-x86', 'CPU 0/KVM', 'a-b-1', 'kworker/u8:1'),
  };
  const event = fc.oneof(
    fc.record({
      ...place,
      event: fc.constant('kvm_exit' as const),
      vcpu,
      reason: fc.constantFrom('npf', 'EPT_VIOLATION', 'UNKNOWN (9)'),
      rip: hex,
      info1: hex,
      info2: hex,
    }),
    fc.record({
      ...place,
      event: fc.constant('kvm_page_fault' as const),
      vcpu,
      rip: fc.option(hex, { nil: undefined }),
      address: hex,
      code: gpa,
    }),
    fc.record({
      ...place,
      event: fc.constant('kvm_mmio' as const),
      kind: fc.constantFrom('read' as const, 'write' as const, 'unsatisfied-read' as const),
      len: small,
      gpa,
      val: hex,
    }),
    fc.record({
      ...place,
      event: fc.constant('kvm_pio' as const),
      kind: fc.constantFrom('read' as const, 'write' as const),
      port: small,
      size: small,
      count: fc.integer({ min: 1, max: 9 }),
      val: fc.option(hex, { nil: undefined }),
    }),
    fc.record({
      ...place,
      event: fc.constant('kvm_emulate_insn' as const),
      csbase: hex,
      rip: hex,
      insn: fc.constantFrom('', '89 07', 'f3 a5'),
      mode: fc.constantFrom('real', 'prot64'),
      failed: fc.boolean(),
    }),
    fc.record({
      ...place,
      event: fc.constant('kvm_userspace_exit' as const),
      reason: fc.constantFrom('KVM_EXIT_MMIO', 'error'),
      number: small,
    }),
    fc.record({
      ...place,
      event: fc.constant('kvm_entry' as const),
      vcpu: small,
      rip: fc.option(hex, { nil: undefined }),
    }),
    fc.record({
      ...place,
      event: fc.constant('kvm_set_user_memory' as const),
      call: fc.record({
        addressSpace: fc.nat({ max: 1 }),
        slot: small,
        flags: small,
        gpa,
        size: gpa,
        ua: gpa,
        ret: fc.integer({ min: -40, max: 0 }),
      }),
    }),
    fc.record({
      ...place,
      event: fc.constant('pflash_io' as const),
      access: fc.record({
        device: fc.constantFrom('system.flash1', 'f'),
        write: fc.boolean(),
        offset: small,
        size: small,
        value: small,
      }),
    }),
  );
  fc.assert(
    fc.property(event, (told) => {
      const written: TraceEvent = { ...told, line: 1 };
      expect(one(ftraceLine(written))).toEqual(written);
    }),
    { numRuns: 300 },
  );
});
