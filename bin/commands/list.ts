/** `compare list`: what there is to compare, by name. */

import { decisionsOf } from '../../engine/policy.ts';
import { defineCommand } from '../command.ts';

interface Entry {
  readonly name: string;
  readonly says: string;
  readonly source: string;
}

/** The `list` command. */
export const list = defineCommand({
  usage: 'list',
  says: 'List scenarios, strategies and patches',
  options: {
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
  },
  async run(args, io) {
    const [{ SCENARIOS }, { PATCHES, STRATEGIES, VMMS }] = await Promise.all([
      import('../../scenarios/index.ts'),
      import('../../strategies/index.ts'),
    ]);
    const scenarios = SCENARIOS.map((s) => ({
      name: s.name,
      says: s.asks,
      source: s.source,
      params: s.params ?? {},
    }));
    const strategies = STRATEGIES.map((s) => ({
      name: s.name,
      says: s.cover,
      source: s.source,
      series: s.series.map((p) => p.name),
    }));
    const patches = PATCHES.map((p) => ({
      name: p.name,
      says: p.subject,
      source: p.source,
      decisions: decisionsOf(p),
    }));
    const vmms = VMMS.map(({ name, says, source }) => ({ name, says, source }));
    if (args.format === 'json') {
      io.out(`${JSON.stringify({ scenarios, strategies, patches, vmms }, null, 2)}\n`);
      return 0;
    }
    const { paragraph } = await import('../../reports/print/paragraph.ts');
    const width = Math.max(40, io.columns ?? 80);
    const section = (
      title: string,
      entries: readonly Entry[],
      more: (i: number) => readonly string[],
    ): string[] => [
      title,
      ...entries.flatMap((e, i) => [
        `  ${e.name}`,
        ...[e.says, ...more(i)].flatMap((text) => paragraph(text, width, 6, 2)),
      ]),
      '',
    ];
    const params = (i: number): string[] =>
      Object.entries(scenarios[i]?.params ?? {}).map(
        ([name, p]) => `--param ${name}=${p.default}  ${p.help}`,
      );
    const series = (i: number): string => strategies[i]?.series.join(', ') || 'none, the base kernel';
    const lines = [
      ...section('Scenarios (--scenario)', scenarios, params),
      ...section('Strategies (--strategy)', strategies, (i) => [`series: ${series(i)}`]),
      ...section('Patches (--with, --without)', patches, (i) => [
        `rewrites ${patches[i]?.decisions.join(', ')}`,
      ]),
      ...section('VMMs (--vmm)', vmms, (i) => [vmms[i]?.source ?? '']),
    ];
    io.out(`${lines.join('\n').trimEnd()}\n`);
    return 0;
  },
});
