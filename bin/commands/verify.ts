/** `compare verify`: the core against a real kernel, every scenario under every layout, event by event. */
import type { Verified } from '../../scenarios/verify/verify.ts';
import { defineCommand } from '../command.ts';
import { type Io, UsageError } from '../io.ts';
import { createProgress } from '../output/progress.ts';
import { KERNEL_OPTIONS, type KernelWord, kernelWords } from '../run/kernel-words.ts';
import { type Plan, planOf, RUN_OPTIONS } from '../run/plan.ts';

const { scenario, strategy, paging, param, seed } = RUN_OPTIONS;

/** The `verify` command. */
export const verify = defineCommand({
  usage: 'verify',
  says: 'Hold the emulated core against a real kernel, every scenario under every layout, event by event',
  options: {
    ...KERNEL_OPTIONS,
    ...{ scenario, strategy, paging, param, seed },
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
  },
  examples: [
    ['$0 verify --kernel ./linux-image', 'against an unpacked kernel package, in QEMU'],
    ['$0 verify --engine kvm --scenario rom-write', "against this host's own"],
  ],
  async run(args, io) {
    const [kernel, second] = kernelWords(args.kernel, args.engine, io.cwd);
    if (kernel === undefined) throw new UsageError('verify needs a kernel: --kernel PATH, or --engine kvm');
    if (second !== undefined)
      throw new UsageError('verify takes one kernel at a time; compare takes several');
    const plan = await planOf({ ...args, paging: args.paging as Plan['paging'] }, false, io);
    const { found, leftOut, version } = await verifyAll(kernel, plan, io);
    if (args.format === 'json') io.out(`${JSON.stringify({ kernel: version, found, leftOut }, null, 2)}\n`);
    else {
      const { verifyText } = await import('../../reports/findings/verify-text.ts');
      io.out(verifyText(found, version.split(' (')[0] ?? version, leftOut, io.columns ?? 80));
    }
    if (io.signal.aborted) return 130;
    return found.some((v) => v.divergence !== undefined && v.known === undefined) ? 1 : 0;
  },
});

async function verifyAll(kernel: KernelWord, plan: Plan, io: Io) {
  const [
    { choose },
    { seriesIn, startKernel, strategiesOn },
    { createCoreMachine },
    runner,
    { verify: both },
  ] = await Promise.all([
    import('../run/prepare.ts'),
    import('../run/run-on-kernels.ts'),
    import('../../engine/core/core-machine.ts'),
    import('../../scenarios/run/run.ts'),
    import('../../scenarios/verify/verify.ts'),
  ]);
  const chosen = await choose(plan);
  const { strategies: layouts, leftOut } = strategiesOn(
    kernel,
    chosen.strategies,
    plan.strategies !== undefined,
  );
  if (layouts.length === 0) throw new UsageError(`verify compared nothing: ${leftOut.join('; ')}`);
  const series = seriesIn(kernel);
  const line = createProgress(io);
  line.show(`booting ${kernel.name}`);
  const engine = await startKernel(kernel, plan.paging);
  const found: Verified[] = [];
  try {
    for (const scenario of chosen.scenarios) {
      const program = runner.prepareProgram(scenario, chosen.params.get(scenario.name) ?? {}, plan.seed);
      const budget = runner.budgetOf(program);
      for (const layout of layouts) {
        if (io.signal.aborted) break;
        line.show(
          `${found.length}/${chosen.scenarios.length * layouts.length} ${scenario.name} under ${layout.name}`,
        );
        await new Promise((resolve) => setTimeout(resolve, 0));
        const strategy = { ...layout, name: layout.name.slice(0, layout.name.lastIndexOf('@')) };
        found.push(
          await both(program, strategy, plan.paging, {
            core: () => createCoreMachine({ series, paging: plan.paging, budget }),
            kernel: () => engine.createMachine({ budget }),
          }),
        );
      }
    }
  } finally {
    line.clear();
    engine.stop();
  }
  return { found, leftOut, version: engine.version };
}
