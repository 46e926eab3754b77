/** `compare export` from the command line: runs and traces into the formats, and what is wrong told in one line. */
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { runCli } from './testing.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faultline-export-'));
});

const RUN = ['--scenario', 'rom-write', '--strategy', 'readonly-memslot', '--param', 'writes=3'];

describe('a run', () => {
  test('as ftrace text is read back by our own importer, event by event', async () => {
    const written = await runCli(['export', ...RUN, '--format', 'ftrace']);
    expect(written.code).toBe(0);
    await writeFile(join(folder, 'run.txt'), written.out);
    const again = await runCli(['export', 'run.txt', '--format', 'ftrace'], { cwd: folder });
    expect(again.err).toContain('0 lines not understood');
    expect(again).toMatchObject({ code: 0, out: written.out });
  });

  test('tells what KVM does: one fault, one emulation and one exit a refused store', async () => {
    const { out } = await runCli(['export', ...RUN, '--format', 'ftrace']);
    const count = (text: string): number => out.split(text).length - 1;
    expect(count('kvm_mmio: mmio write len 4 gpa 0xf0000')).toBe(3);
    expect(count('reason KVM_EXIT_MMIO (6)')).toBe(3);
    expect(count('kvm_page_fault: vcpu 0 rip 0x100f address 0x00000000000f0000 error_code 0x100000006')).toBe(
      3,
    );
    expect(count('kvm_set_user_memory')).toBe(2);
    expect(out.trimEnd().split('\n').at(-1)).toContain('reason KVM_EXIT_HLT (5)');
  });

  test('dies in the trace as it dies in the table', async () => {
    const { out } = await runCli([
      'export',
      '--scenario',
      'rom-write',
      '--strategy',
      'mmap-prot-read',
      '--format',
      'ftrace',
    ]);
    expect(out.trimEnd().split('\n').at(-1)).toContain('kvm_userspace_exit: reason error (14)');
  });

  test('for Perfetto is one JSON document with a slice an exit', async () => {
    const { out } = await runCli(['export', ...RUN, '--format', 'perfetto']);
    const trace = JSON.parse(out) as { traceEvents: { ph: string; name: string; cat?: string }[] };
    expect(trace.traceEvents.filter((e) => e.ph === 'X' && e.cat === 'kvm').map((e) => e.name)).toEqual([
      'npf',
      'npf',
      'npf',
      'npf',
      'hlt',
    ]);
  });

  test('as perf kvm stat', async () => {
    const { out } = await runCli(['export', ...RUN, '--format', 'perf-kvm', '--event', 'mmio']);
    expect(out).toContain('MMIO Access');
    expect(out).toMatch(/0xf0000:W +3 +100.00%/);
  });

  test('is the same to the last byte every time', async () => {
    const twice = await Promise.all([1, 2].map(() => runCli(['export', ...RUN, '--format', 'perfetto'])));
    expect(twice[0]?.out).toBe(twice[1]?.out);
  });
});

describe('a trace', () => {
  const LINE = ' q-1 [000] .... 1.000000: kvm_entry: vcpu 0';

  test('gzip is unpacked, whatever the file is called; lines not understood are told and make the exit code 1', async () => {
    await writeFile(join(folder, 'odd'), gzipSync(`${LINE}\nwhat is this\n${LINE}`));
    const { code, out, err } = await runCli(['export', 'odd', '--format', 'ftrace'], { cwd: folder });
    expect(out.match(/kvm_entry/g)).toHaveLength(2);
    expect(code).toBe(1);
    expect(err).toBe(
      'compare: odd: 3 lines, 2 events understood, 1 lines not understood\n  odd:2: no event: what is this\n',
    );
  });

  test.each<[string, string | Buffer, RegExp]>([
    ['an empty file', '', /no event of KVM in it: it is empty/],
    ['no trace at all', 'hello\n', /no event of KVM in it: line 1: hello/],
    ['a trace of something else', ' q-1 [000] .... 1.0: sched_switch: x\n', /it has sched_switch/],
    ['trace.dat itself', Buffer.from([0x17, 0x08, 0x44, 0, 0, 1]), /a binary file; print it as text first/],
    ['half a gzip file', gzipSync('x'.repeat(9999)).subarray(0, 30), /damaged gzip file/],
  ])('%s is refused in one line', async (name, bytes, message) => {
    await writeFile(join(folder, 'bad'), bytes);
    const { code, err } = await runCli(['export', 'bad', '--format', 'perfetto', '--out', 'x.json'], {
      cwd: folder,
    });
    expect(code, name).toBe(2);
    expect(err).toMatch(message);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect((await readdir(folder)).filter((f) => f.includes('x.json'))).toEqual([]);
  });

  test.each<[string[], RegExp]>([
    [['export', '--format', 'ftrace'], /needs a trace, or --scenario and --strategy/],
    [['export', 'run.txt', '--scenario', 'rom-write', '--format', 'ftrace'], /not both/],
    [['export', 'nowhere', '--format', 'ftrace'], /nowhere: no such file/],
    [['export', '.', '--format', 'ftrace'], /it is a folder/],
    [['export', 'run.txt', '--format', 'svg'], /--format 'svg': choose from/],
  ])('%s', async (argv, message) => {
    const { code, err } = await runCli(argv, { cwd: folder });
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  test('without kvm_entry there is no time for perf to tell', async () => {
    await writeFile(
      join(folder, 'faults'),
      ' q-1 [000] .... 1.0: kvm_page_fault: address 1000 error_code 6\n',
    );
    const { code, err } = await runCli(['export', 'faults', '--format', 'perf-kvm'], { cwd: folder });
    expect(code).toBe(2);
    expect(err).toContain('no kvm_entry');
  });

  test('--out is written whole', async () => {
    const { code } = await runCli(['export', 'run.txt', '--format', 'perfetto', '--out', 'run.json'], {
      cwd: folder,
    });
    expect(code).toBe(0);
    expect(JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'))).toHaveProperty('traceEvents');
  });
});
