/** `compare conform`: recorded cases of real kernels, run on the core and compared event by event. */
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { OracleCase } from '../../scenarios/conform/case.ts';
import type { Conformance, ConformOptions, Tally } from '../../scenarios/conform/conform.ts';
import type { RecordedKernel } from '../../scenarios/conform/kernels.ts';
import { defineCommand } from '../command.ts';
import { byName } from '../input/mistyped.ts';
import { firstLine, type Io, UsageError } from '../io.ts';
import { createProgress } from '../output/progress.ts';

/** The recordings that come with the program. */
const RECORDINGS = ['kvm-6.1-cases.jsonl.gz', 'kvm-6.1-families.jsonl.gz'];
/** Cases between two looks at the world: Ctrl-C, the progress line. */
const CHUNK = 25;

/** The `conform` command. */
export const conform = defineCommand({
  usage: 'conform [files..]',
  says: 'Run recorded cases of real kernels on the core and compare every event',
  positionals: {
    files: {
      type: 'string',
      array: true,
      describe: 'Recordings (.jsonl, .jsonl.gz); those that come along when absent',
    },
  },
  options: {
    kernel: { type: 'string', array: true, requiresArg: true, describe: 'Only these recorded kernels' },
    engine: {
      type: 'string',
      default: 'core',
      requiresArg: true,
      describe: "Run them on the core, on kvm (this host's), or on the kernel at this path in QEMU",
    },
    filter: {
      type: 'string',
      requiresArg: true,
      describe: 'Only cases whose id matches this regular expression',
    },
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
    show: { type: 'number', default: 5, requiresArg: true, describe: 'Differing cases to print in full' },
  },
  examples: [
    ['$0 conform --kernel stock --filter "^slots/"', 'one kernel, one family'],
    ['$0 conform --engine ./linux-image', 'a kernel of your own against the recorded one'],
  ],
  async run(args, io) {
    if (!Number.isSafeInteger(args.show) || args.show < 0)
      throw new UsageError('--show needs a whole number, 0 or more');
    // A real kernel is held against one recorded kernel; which, is for the user to say.
    const kernels = await kernelsOf(args.kernel ?? (args.engine === 'core' ? undefined : ['stock']));
    const filter = regularExpression(args.filter);
    const loaded = await load(args.files ?? [], args.kernel, io);
    const cases = loaded.filter((c) => filter.test(c.id));
    if (cases.length === 0) throw new UsageError(`--filter '${args.filter}': no case has such an id`);
    const found =
      args.engine === 'core'
        ? await runAll(cases, kernels, await onCore(kernels), io)
        : await onKernel(args.engine, kernels, io, (create) => runAll(cases, kernels, create, io));
    const compared = Object.values(found.kernels).reduce((n, t) => n + t.agree + t.differ, 0);
    if (compared + found.unsupported.length === 0 && !io.signal.aborted) {
      const names = kernels.map((k) => k.name).join(', ');
      throw new UsageError(`nothing was compared: none of ${cases.length} cases was run on ${names}`);
    }
    if (args.format === 'json') {
      const { cases: _, ...told } = found;
      io.out(`${JSON.stringify(told, null, 2)}\n`);
    } else {
      const { conformText } = await import('../../reports/findings/conform-text.ts');
      io.out(conformText(found, { width: io.columns ?? 80, show: args.show }));
    }
    if (io.signal.aborted) {
      io.err(`${io.name}: interrupted: this is what was finished\n`);
      return 130;
    }
    if (found.differences.length > 0) return 1;
    // A case that could not be compared is no agreement.
    return found.unsupported.length > 0 ? 2 : 0;
  },
});

function regularExpression(text: string | undefined): RegExp {
  try {
    return new RegExp(text ?? '');
  } catch (error) {
    throw new UsageError(`--filter '${text}': not a regular expression: ${firstLine(error)}`);
  }
}

/** The kernels asked for; all that the core can be when none is. */
async function kernelsOf(names: readonly string[] | undefined): Promise<readonly RecordedKernel[]> {
  const { RECORDED_KERNELS, UNMODELLED_KERNELS } = await import('../../scenarios/conform/kernels.ts');
  const recorded: readonly { readonly name: string }[] = [...RECORDED_KERNELS, ...UNMODELLED_KERNELS];
  return (names ?? RECORDED_KERNELS.map((k) => k.name)).map((name) => {
    byName(name, recorded, 'recorded kernel');
    const kernel = RECORDED_KERNELS.find((k) => k.name === name);
    if (kernel !== undefined) return kernel;
    throw new UsageError(
      `--kernel ${name}: it was recorded, but the core does not model it: nothing to compare`,
    );
  });
}

async function load(
  files: readonly string[],
  asked: readonly string[] | undefined,
  io: Io,
): Promise<readonly OracleCase[]> {
  const { parseCases, readCases } = await import('../input/case-file.ts');
  if (files.length > 0) {
    const { onlyNamed } = await import('../../scenarios/conform/kernels.ts');
    return (await Promise.all(files.map((f) => readCases(f, io.cwd)))).flatMap((c) => onlyNamed(c, asked));
  }
  const { loadText } = await import('../../scenarios/data/recordings.ts');
  return RECORDINGS.flatMap((name) => parseCases(loadText(name), name));
}

type CreateMachine = ConformOptions['createMachine'];

async function onCore(kernels: readonly RecordedKernel[]): Promise<CreateMachine> {
  const [{ createCoreMachine }, { RECORDER_PATIENCE }, { PATCHES }] = await Promise.all([
    import('../../engine/core/core-machine.ts'),
    import('../../scenarios/conform/conform.ts'),
    import('../../strategies/index.ts'),
  ]);
  const series = new Map(kernels.map((k) => [k.name, k.patches.map((p) => byName(p, PATCHES, 'patch'))]));
  return (k, vm) =>
    createCoreMachine({
      ...vm,
      series: series.get(k.name) ?? [],
      paging: k.paging,
      budget: RECORDER_PATIENCE,
      lives: 0,
    });
}

/** Does the work on a real kernel, without counting instructions: that is faster. */
async function onKernel(
  engine: string,
  kernels: readonly RecordedKernel[],
  io: Io,
  work: (createMachine: CreateMachine) => Promise<Conformance>,
): Promise<Conformance> {
  const [kernel, other] = kernels;
  if (kernel === undefined || other !== undefined)
    throw new UsageError(
      '--engine: a real kernel is held against one recorded kernel; name it with --kernel',
    );
  const [{ startKernel }, { RECORDER_PATIENCE: budget }] = await Promise.all([
    import('../run/run-on-kernels.ts'),
    import('../../scenarios/conform/conform.ts'),
  ]);
  const word = engine === 'kvm' ? { name: 'host' } : { name: engine, path: resolve(io.cwd, engine) };
  const real = await startKernel(word, kernel.paging, { icount: false });
  try {
    return await work((_, vm) => real.createMachine({ ...vm, budget }));
  } finally {
    real.stop();
  }
}

async function runAll(
  cases: readonly OracleCase[],
  kernels: readonly RecordedKernel[],
  createMachine: CreateMachine,
  io: Io,
): Promise<Conformance> {
  const { conform: run, noConformance } = await import('../../scenarios/conform/conform.ts');
  const found = noConformance();
  const line = createProgress(io);
  for (let i = 0; i < cases.length && !io.signal.aborted; i += CHUNK) {
    line.show(`${i}/${cases.length} cases on ${kernels.length} kernels, ${found.cases.length} differ`);
    const part = run({ cases: cases.slice(i, i + CHUNK), kernels, createMachine });
    merge(found, part);
    await setImmediate();
  }
  line.clear();
  return found;
}

function merge(into: Conformance, part: Conformance): void {
  // One by one: the arguments of a call have to fit on the stack.
  for (const d of part.differences) into.differences.push(d);
  for (const c of part.cases) into.cases.push(c);
  for (const u of part.unsupported) into.unsupported.push(u);
  for (const [kernel, { cases, otherwise }] of Object.entries(part.unmodelled)) {
    const sum = into.unmodelled[kernel] ?? { cases: 0, otherwise: 0 };
    into.unmodelled[kernel] = { cases: sum.cases + cases, otherwise: sum.otherwise + otherwise };
  }
  addTallies(into.kernels, part.kernels);
  for (const [kernel, tallies] of Object.entries(part.families)) {
    into.families[kernel] ??= {};
    addTallies(into.families[kernel], tallies);
  }
}

function addTallies(into: Record<string, Tally>, part: Readonly<Record<string, Tally>>): void {
  for (const [name, tally] of Object.entries(part)) {
    const sum = into[name];
    if (sum === undefined) into[name] = { ...tally };
    else for (const key of ['cases', 'agree', 'differ', 'skipped'] as const) sum[key] += tally[key];
  }
}
