/** The table of exits, held together: numbers and names, and that each row is found from what it describes. */
import { expect, test } from 'vitest';
import { EINTR, ENOMEM } from './abi.ts';
import * as exits from './exits.ts';
import { EXIT_KINDS, EXIT_NAMES, EXITS, exitKindsIn, exitOf, exitSays, newExitRecord } from './exits.ts';

interface Row {
  readonly reason?: number;
  readonly errno?: number;
  readonly name: string;
}
const row = (name: exits.ExitName): Row => EXITS[name];

test('the constants are the numbers of the rows of their name', () => {
  const constants = Object.entries(exits).filter(([name]) => name.startsWith('KVM_EXIT_'));
  expect(constants.length).toBeGreaterThan(5);
  for (const [constant, value] of constants) {
    if (value === exits.KVM_EXIT_UNKNOWN) continue;
    const rows = EXIT_NAMES.map(row).filter((r) => r.name === constant);
    expect(rows.length, constant).toBeGreaterThan(0);
    // A signal is told by its errno alone.
    for (const r of rows) if (r.errno !== EINTR) expect(r.reason, constant).toBe(value);
  }
});

test.each(EXIT_NAMES)('%s is found from what KVM_RUN returns', (name) => {
  const { reason, errno } = row(name);
  for (const isWrite of [true, false]) {
    const exit = { ...newExitRecord(), reason: reason ?? exits.KVM_EXIT_UNKNOWN, isWrite };
    const found = exitOf(-(errno ?? 0), exit);
    const direction = { 'mmio-read': false, 'mmio-write': true }[name as string];
    if (direction === undefined || direction === isWrite) expect(found).toBe(name);
    else expect(found).not.toBe(name);
  }
});

test('an errno alone is what it is, whatever an exit before has left in kvm_run', () => {
  for (const reason of [exits.KVM_EXIT_UNKNOWN, exits.KVM_EXIT_MMIO, exits.KVM_EXIT_HLT, 99])
    expect(exitOf(-14, { ...newExitRecord(), reason })).toBe('efault');
});

test('what the table does not have is nobody, and says its number', () => {
  const exit = { ...newExitRecord(), reason: 99 };
  expect(exitOf(0, exit)).toBeUndefined();
  expect(exitSays(0, exit)).toContain('99');
  expect(exitOf(0, newExitRecord())).toBeUndefined();
  expect(exitOf(-ENOMEM, { ...newExitRecord(), reason: exits.KVM_EXIT_HLT })).toBeUndefined();
});

test('every counted exit is in one group; a signal is not counted, nor what is no exit of KVM', () => {
  const groups = (['memory', 'call', 'end'] as const).flatMap(exitKindsIn);
  expect(groups.toSorted()).toEqual(EXIT_KINDS.toSorted());
  expect(EXIT_KINDS).not.toContain('intr');
});

test('an exit in words says what it carries', () => {
  const exit = { ...newExitRecord(), reason: exits.KVM_EXIT_MMIO, physAddr: 0xf0000, len: 4, isWrite: true };
  expect(exitSays(0, exit)).toBe('KVM_EXIT_MMIO: write of 4 at f0000');
  expect(exitSays(0, { ...exit, reason: exits.KVM_EXIT_IO, port: 0x80 })).toBe('KVM_EXIT_IO: port 80');
  expect(exitSays(0, { ...exit, reason: exits.KVM_EXIT_INTERNAL_ERROR, suberror: 1 })).toContain(
    'suberror 1',
  );
});
