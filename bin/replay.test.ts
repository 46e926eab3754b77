/** `compare replay` from the command line: a real boot, our own runs, flash logs, and input that is wrong. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ReplayReport } from '../scenarios/traces/replay/replay-report.ts';
import { runCli } from './testing.ts';

const DATA = new URL('../scenarios/data/', import.meta.url).pathname;
const BOOT = join(DATA, 'seabios-boot.ftrace.gz');
const LOG = join(DATA, 'seabios-boot.memslots.log.gz');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faultline-replay-'));
});

/** Replays into the report. */
async function report(...argv: string[]): Promise<{ code: number; report: ReplayReport }> {
  const { code, out, err } = await runCli(['replay', ...argv, '--format', 'json'], { cwd: folder });
  expect(err).toBe('');
  return { code, report: JSON.parse(out) as ReplayReport };
}

describe('a real boot', () => {
  test('under the merged series: nothing differs, exit code 0', async () => {
    const { code, out } = await runCli(['replay', BOOT, '--memslots', LOG, '--strategy', 'readonly-memslot']);
    expect(code).toBe(0);
    expect(out).toContain('readonly-memslot  ok  70/70 357/357 913/913  78/78   1,340    913');
    expect(out).toContain('The recorded guest stored to nothing that a slot shows read-only.');
    expect(out).toContain('In 900 faults on entries for MMIO');
    expect(out).toContain('What a replay cannot reproduce:');
  });

  test('with cold ROMs: who dies, where, exit code 1', async () => {
    const { code, out } = await runCli([
      'replay',
      BOOT,
      '--memslots',
      LOG,
      '--cold-roms',
      '--strategy',
      'mmap-prot-read',
      'readonly-memslot',
    ]);
    expect(code).toBe(1);
    expect(out).toMatch(/mmap-prot-read +dies, line 2/);
    expect(out.replace(/\s+/g, ' ')).toContain(
      'this guest would have died at line 2 (9.397668 s), where it fetched code at fffffff0 (rip fff0): KVM_RUN returned -EFAULT.',
    );
  });

  test('without its log: slots are made up from the pages, and that is said', async () => {
    const { report: r } = await report(BOOT, '--strategy', 'readonly-memslot');
    expect(r.slots).toMatchObject({ from: 'made up', contradictions: 0, unexplained: 7 });
    expect(r.strategies[0]?.places.device.same).toBeGreaterThan(800);
  });

  test('Ctrl-C ends it with 130', async () => {
    const stop = new AbortController();
    stop.abort();
    expect(await runCli(['replay', BOOT, '--memslots', LOG], { signal: stop.signal })).toMatchObject({
      code: 130,
    });
  });
});

describe('runs of our own', () => {
  test.each(['slot-flip', 'rom-read-back', 'rom-write', 'pci-rom', 'fault-storm'])(
    '%s, exported and replayed under the same strategy, differs in nothing',
    async (scenario) => {
      const run = await runCli([
        'export',
        '--scenario',
        scenario,
        '--strategy',
        'readonly-memslot',
        '--format',
        'ftrace',
      ]);
      await writeFile(join(folder, 'own.txt'), run.out);
      const { code, report: r } = await report('own.txt', '--strategy', 'readonly-memslot');
      expect(r.strategies[0]).toMatchObject({ alive: true, differences: [] });
      expect(code).toBe(0);
    },
  );

  test('a refused store kills it where the strategy lets it', async () => {
    const run = await runCli([
      'export',
      '--scenario',
      'rom-write',
      '--strategy',
      'readonly-memslot',
      '--format',
      'ftrace',
    ]);
    await writeFile(join(folder, 'own.txt'), run.out);
    const { code, report: r } = await report(
      'own.txt',
      '--strategy',
      'mmap-prot-read',
      'readonly-memslot-v3',
      'private-cow',
    );
    expect(code).toBe(1);
    expect(r.strategies.map((s) => s.death?.kind)).toEqual(['write', undefined, undefined]);
    expect(r.strategies[1]?.differences[0]?.reason).toContain('entry for MMIO');
    expect(r.strategies[2]?.differences[0]?.reason).toContain('memory took a store');
  });
});

test("a log of QEMU's flash runs as a scenario", async () => {
  const recorded = gunzipSync(await readFile(join(DATA, 'ovmf-varstore.pflash.txt.gz')))
    .toString('latin1')
    .trimEnd()
    .split('\n')
    .slice(0, 200);
  const lines = recorded.map((l) => {
    const [op, offset, value] = l.split(' ');
    const four = (hex = ''): string => `0x${hex.padStart(4, '0')}`;
    return `pflash_io_${op === 'w' ? 'write' : 'read'} system.flash1: offset:${four(offset)} size:1 value:${four(value)}${op === 'r' ? ' cmd:0x70' : ''} wcycle:0`;
  });
  await writeFile(join(folder, 'flash.log'), lines.join('\n'));
  const { code, out } = await runCli(
    ['replay', 'flash.log', '--strategy', 'mmap-prot-read', 'readonly-memslot'],
    { cwd: folder },
  );
  expect(code).toBe(0);
  expect(out).toMatch(/mmap-prot-read +EFAULT/);
  expect(out).toMatch(/readonly-memslot +ok/);
});

describe('what is wrong is told in one line', () => {
  const line = (text: string, thread = 1): string => ` q-${thread} [000] .... 1.000000: ${text}\n`;
  const FAULT = line('kvm_page_fault: vcpu 0 rip 0x1 address 0x1000 error_code 0x100000006');

  test.each<[string, string, string[], RegExp]>([
    [
      'nothing to replay',
      line('kvm_entry: vcpu 0'),
      [],
      /no page fault and no MMIO in it: record kvm:kvm_page_fault/,
    ],
    [
      'shadow paging',
      line('kvm_exit: reason EXCEPTION_NMI rip 0x10 info 0 0') +
        line('kvm_page_fault: address 10 error_code 6'),
      [],
      /recorded under shadow paging/,
    ],
    [
      'two VMs',
      FAULT + line('kvm_page_fault: vcpu 0 rip 0x1 address 0x1000 error_code 0x100000006', 2),
      [],
      /vCPU 0 ran in threads 1 and 2: more than one VM; choose its threads with --thread/,
    ],
    ['a thread that is none', FAULT, ['--thread', '-1'], /--thread -1: needs a whole number/],
    ['a thread that did nothing', FAULT, ['--thread', '77'], /no page fault and no MMIO/],
    ['a log that is none', FAULT, ['--memslots', 'trace.txt'], /no kvm_set_user_memory in it/],
    [
      'a log with a line that is not understood',
      FAULT,
      ['--memslots', 'bad.log'],
      /bad\.log:2: not a slot call: kvm_set_user_memory Slot#1 flags/,
    ],
    [
      'two sources of slots',
      FAULT +
        line('tracing_mark_write: kvm_set_user_memory Slot#0 flags=0x0 gpa=0x0 size=0x2000 ua=0x1000 ret=0'),
      ['--memslots', 'good.log'],
      /leave one of the two out/,
    ],
    ['no such log', FAULT, ['--memslots', 'nowhere.log'], /nowhere\.log: no such file/],
  ])('%s', async (_, trace, argv, message) => {
    const good = 'kvm_set_user_memory Slot#0 flags=0x0 gpa=0x0 size=0x2000 ua=0x1000 ret=0\n';
    await writeFile(join(folder, 'trace.txt'), trace);
    await writeFile(join(folder, 'good.log'), good);
    await writeFile(join(folder, 'bad.log'), `${good}kvm_set_user_memory Slot#1 flags\n`);
    const { code, err } = await runCli(['replay', 'trace.txt', '--strategy', 'readonly-memslot', ...argv], {
      cwd: folder,
    });
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });

  test('a pipe, which can be read only once', async () => {
    const { code, err } = await runCli(['replay', '/dev/null', '--strategy', 'readonly-memslot']);
    expect(code).toBe(2);
    expect(err).toContain('it is read twice, and this is no file');
  });

  test('one VM of two, by its thread', async () => {
    await writeFile(
      join(folder, 'two.txt'),
      FAULT + line('kvm_page_fault: vcpu 0 rip 0x1 address 0x5000 error_code 0x100000006', 2),
    );
    const { report: r } = await report('two.txt', '--strategy', 'readonly-memslot', '--thread', '2');
    expect(r.accesses).toBe(1);
  });
});
