/** The commands on the real engine: what they print, and what their exit code says. */
import { describe, expect, test } from 'vitest';
import { runCli } from './testing.ts';

describe('compare', () => {
  const json = async (...args: string[]) =>
    JSON.parse((await runCli([...args, '--no-timing', '--format', 'json'])).out);
  const fates = async (...args: string[]): Promise<Record<string, string>> => {
    const { runs }: { runs: { strategy: string; fate: string }[] } = await json(...args);
    return Object.fromEntries(runs.map((r) => [r.strategy, r.fate]));
  };

  test('a store to a ROM, strategy by strategy', async () => {
    expect(await fates('--scenario', 'rom-write')).toMatchObject({
      'readonly-memslot': 'ok',
      'gup-nowait-reasons': 'ok',
      'mmap-prot-read': 'efault',
      'shm-multi-map': 'efault',
      'private-cow': 'ok',
      'writable-slot': 'corrupt',
    });
  });

  test('a cold read kills, and with one patch more it does not', async () => {
    const one = ['--scenario', 'rom-read-cold', '--strategy', 'mmap-prot-read'];
    expect(await fates(...one)).toEqual({ 'mmap-prot-read': 'efault' });
    expect(await fates(...one, '--with', 'judge-vma-by-access')).toEqual({
      'mmap-prot-read+judge-vma-by-access': 'ok',
    });
  });

  test('--without alone is about the strategies that have the patch', async () => {
    const names = Object.keys(await fates('--scenario', 'rom-write', '--without', 'reexecute-writable-pfn'));
    expect(names.length).toBeGreaterThan(1);
    expect(names.every((n) => n.endsWith('-reexecute-writable-pfn'))).toBe(true);
  });

  test('the command in the Comparison makes it again', async () => {
    const args = ['--scenario', 'rom-write', '--strategy', 'coexist', '--param', 'writes=3', '--seed', '7'];
    const first = await json(...args);
    expect(first.command).toBe('compare --scenario rom-write --strategy coexist --param writes=3 --seed 7');
    expect(await json(...first.command.split(' ').slice(1))).toEqual(first);
  });

  test('timing is there unless it is switched off, and changes no digest', async () => {
    const args = ['--scenario', 'rom-write', '--strategy', 'coexist'];
    const [run] = JSON.parse((await runCli([...args, '--format', 'json'])).out).runs;
    const [plain] = (await json(...args)).runs;
    expect(run.timing.nsPerOp).toBeGreaterThan(0);
    expect(run.timing.raw).toHaveLength(run.timing.samples);
    expect(plain.timing).toBeUndefined();
    expect(plain.digest).toBe(run.digest);
  });

  test('interrupted before it began, it prints an empty Comparison and says so', async () => {
    const { code, out, err } = await runCli(['--scenario', 'rom-write', '--format', 'json'], {
      signal: AbortSignal.abort(),
    });
    expect(code).toBe(130);
    expect(JSON.parse(out)).toMatchObject({ runs: [], interrupted: true });
    expect(err).toMatch(/0 of \d+ runs were finished/);
  });
});

describe('explain', () => {
  test('names who acts, who decided, and folds what repeats', async () => {
    const { code, out } = await runCli([
      'explain',
      '--scenario',
      'rom-write',
      '--strategy',
      'readonly-memslot',
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/__gfn_to_hva_many\(\).*decided by\s+patch introduce-readonly-memslot/s);
    expect(out).toMatch(/\n\d+ to \d+\. The same again\.\n/);
    expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test('what did not happen is not told', async () => {
    const fast = 'explain --scenario migrate --strategy writable-slot --param pages=1 --param rounds=2';
    const { out } = await runCli(fast.split(' '));
    const [, later = ''] = out.split('4. write of gpa 0x100000');
    expect(later).toContain('write access was only taken for the dirty log');
    expect(later).not.toMatch(/hva_to_pfn|handle_mm_fault|make_spte/);
    const walk = 'explain --scenario page-tables-in-rom --strategy mmap-prot-read --paging shadow';
    const { out: shadow } = await runCli(walk.split(' '));
    expect(shadow).toContain('1. fetch of linear address 0x1000');
    expect(shadow).toMatch(/walk_addr_generic\(\) +an accessed or dirty bit cannot be written/);
    expect(shadow).not.toMatch(/no memslot|__gfn_to_hva_many/);
  });

  test('a loop is told once', async () => {
    const loop = ['--scenario', 'rom-write-unemulatable', '--strategy', 'readonly-memslot-v5'];
    const { out } = await runCli(['explain', ...loop]);
    expect(out).toContain('Fate: livelock');
    expect(out).toMatch(/… the same \d+ times more/);
    expect(out.split('\n').length).toBeLessThan(60);
  });
});

describe('list, claims, series', () => {
  test('list has every name that can be given', async () => {
    const { out } = await runCli(['list']);
    for (const name of ['rom-write', 'readonly-memslot-v3', 'judge-vma-by-access'])
      expect(out).toContain(`  ${name}\n`);
    const { scenarios, strategies, patches } = JSON.parse((await runCli(['list', '--format', 'json'])).out);
    expect([scenarios.length, strategies.length, patches.length].every((n) => n >= 10)).toBe(true);
  });

  test('claims: at least sixteen, each with a verdict', async () => {
    const { code, out } = await runCli(['claims', '--format', 'json']);
    const { claims }: { claims: { verdict: string }[] } = JSON.parse(out);
    expect(code).toBe(0);
    expect(claims.length).toBeGreaterThanOrEqual(16);
    expect(claims.every((c) => ['holds', 'fails', 'holds-if'].includes(c.verdict))).toBe(true);
  });

  test('series: the versions, the merged one, and each of its patches left out', async () => {
    const { code, out } = await runCli([
      'series',
      '--scenario',
      'rom-write-unemulatable',
      '--format',
      'json',
    ]);
    const { columns }: { columns: { strategy: string }[] } = JSON.parse(out);
    expect(code).toBe(0);
    expect(columns.map((c) => c.strategy)).toContain('readonly-memslot-reexecute-writable-pfn');
    expect(columns.length).toBe(7);
  });

  test('series: over a read-only mapping the first patch is what the thread is about', async () => {
    const { code, out } = await runCli(['series', '--scenario', 'rom-read-cold']);
    expect(code).toBe(0);
    const [, second = ''] = out.split('(coexist):');
    expect(second).toContain('rom-read-cold: ok → EFAULT');
  });
});
