/** Traces in the shapes that people have them in, and what becomes of lines that are none. */
import { describe, expect, test } from 'vitest';
import { loadText } from '../../data/recordings.ts';
import { one, read } from './testing.ts';

describe('the columns before an event', () => {
  const place = { thread: 23579, cpu: 5, time: 22018.775584 };
  const event = { event: 'kvm_exit', reason: 'EPT_VIOLATION', rip: '1000' };
  const said = 'reason EPT_VIOLATION rip 0x1000 info 181 0';

  test.each([
    ['the kernel, 3.x to 5.10', ` qemu-system-x86-23579 [005] d..2 22018.775584: kvm_exit: ${said}`],
    ['the kernel, 5.12 and later', ` qemu-system-x86-23579   [005] d..1. 22018.775584: kvm_exit: ${said}`],
    ['the kernel before 2.6.38, no flags', ` qemu-system-x86-23579 [005] 22018.775584: kvm_exit: ${said}`],
    [
      'with the thread group',
      ` qemu-system-x86-23579   (  23570) [005] d..1. 22018.775584: kvm_exit: ${said}`,
    ],
    [
      'with a group that is not known',
      ` qemu-system-x86-23579   (-------) [005] d..1. 22018.775584: kvm_exit: ${said}`,
    ],
    ['trace-cmd report', ` qemu-system-x86-23579 [005] 22018.775584: kvm_exit:             ${said}`],
    [
      'trace-cmd report -R and nanoseconds',
      ` qemu-system-x86-23579 [005] ..... 22018.775584000: kvm_exit: ${said}`,
    ],
    ['perf script', `qemu-system-x86 23579 [005] 22018.775584:       kvm:kvm_exit: ${said}`],
    [
      'perf script with process and period',
      `qemu-system-x86 23570/23579 [005] 22018.775584:          1 kvm:kvm_exit: ${said}`,
    ],
    ['a return before the line end', ` qemu-system-x86-23579 [005] d..2 22018.775584: kvm_exit: ${said}\r`],
  ])('%s', (_, line) => {
    expect(one(line)).toMatchObject({ ...event, ...place, task: 'qemu-system-x86' });
  });

  test('task names with spaces, dashes and digits', () => {
    expect(one(` CPU 0/KVM-101 [000] d..2 1.5: kvm_exit: ${said}`)).toMatchObject({
      task: 'CPU 0/KVM',
      thread: 101,
    });
    expect(one(`CPU 0/KVM   100/101 [000] 1.5: kvm:kvm_exit: ${said}`)).toMatchObject({
      task: 'CPU 0/KVM',
      thread: 101,
    });
    expect(one(`a-1 b-22-333 [000] .... 1.5: kvm_exit: ${said}`)).toMatchObject({
      task: 'a-1 b-22',
      thread: 333,
    });
  });

  test('perf of one thread leaves the processor out', () => {
    expect(one(`qemu 101 1.500000: kvm:kvm_entry: vcpu 0, rip 0x10 [immediate exit]`)).toMatchObject({
      cpu: -1,
      thread: 101,
      time: 1.5,
    });
  });
});

describe('lines that are no event of ours', () => {
  test('heads, losses and other events are told apart from what was not understood', () => {
    const { events, summary } = read([
      '# tracer: nop',
      '',
      'cpus=8',
      'CPU 3 is empty',
      'version = 7',
      'CPU:2 [LOST 1234 EVENTS]',
      'CPU:2 [EVENTS DROPPED]',
      ' qemu-101 [000] d..2 1.0: sched_switch: prev_comm=qemu prev_pid=101',
      ' qemu-101 [000] d..2 1.1: kvm_msr: msr_read 10 = 0x0',
      'what is this',
      ' qemu-101 [000] d..2 1.2: kvm_entry: vcpu 0',
    ]);
    expect(events).toHaveLength(1);
    expect(summary).toMatchObject({
      lines: 11,
      remarks: 5,
      lost: 1234,
      gaps: 2,
      malformed: 1,
      firstTime: 1,
      lastTime: 1.2,
    });
    expect(summary.others).toEqual({ sched_switch: 1, kvm_msr: 1 });
    expect(summary.malformedLines).toEqual([{ line: 10, text: 'what is this' }]);
  });

  test('only the first lines not understood are kept, and every one is counted', () => {
    const { summary } = read(Array.from({ length: 1000 }, (_, i) => `nonsense ${i}`));
    expect(summary.malformed).toBe(1000);
    expect(summary.malformedLines).toHaveLength(10);
  });

  test('any number of names of other events stays a bounded number of counters', () => {
    const { summary } = read(Array.from({ length: 1000 }, (_, i) => ` q-1 [000] .... 1.0: event_${i}: x`));
    expect(Object.keys(summary.others).length).toBeLessThan(220);
    expect(Object.values(summary.others).reduce((a, b) => a + b, 0)).toBe(1000);
  });
});

describe('a real boot', () => {
  test('SeaBIOS: every line of trace and log is understood', () => {
    const trace = read(loadText('seabios-boot.ftrace.gz').trimEnd().split('\n'));
    expect(trace.summary).toMatchObject({ lines: 39_579, malformed: 0, others: {} });
    expect(trace.summary.events).toEqual({
      kvm_exit: 10_702,
      kvm_page_fault: 1_341,
      kvm_mmio: 21_259,
      kvm_userspace_exit: 6_277,
    });
    const log = read(loadText('seabios-boot.memslots.log.gz').trimEnd().split('\n'));
    expect(log.summary).toMatchObject({ lines: 78, malformed: 0, events: { kvm_set_user_memory: 78 } });
  });
});
