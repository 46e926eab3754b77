/** A guest kernel in QEMU with the agent as its only process: booted, or resumed from a snapshot. */
import { closeSync, copyFileSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MachineLost } from '../../machine.ts';
import { Batch, CallFailed } from '../agent/records.ts';
import { SYS } from '../agent/syscalls.ts';
import { Channel, Line, openWhenThere, sleepSync } from '../host/channel.ts';
import { GuardedProcess, makePipes, makeRunFolder } from '../host/guarded-process.ts';
import { Watchdog } from '../host/kernel-watchdog.ts';
import { initramfs, modulePath } from '../image/initramfs.ts';
import { type KernelFiles, KernelUnfit, type ModuleFile } from '../image/kernel-files.ts';
import { DISK_BYTES, FILES, PIPES, type QemuOptions, qemuArguments } from './arguments.ts';
import { Monitor } from './monitor.ts';

const O_RDWR = 2;
/** Lines of the console that say why a kernel died. */
const LAST_WORDS = /Kernel panic|BUG:|Oops|Out of memory|lockup|general protection|unable to handle/i;

/** One running QEMU. */
export class GuestKernel {
  readonly kernel: KernelFiles;
  readonly options: QemuOptions;
  readonly process: GuardedProcess;
  readonly channel: Channel;
  readonly monitor: Monitor;
  readonly #watchdog: Watchdog;

  private constructor(
    kernel: KernelFiles,
    options: QemuOptions,
    process: GuardedProcess,
    watchdog: Watchdog,
    channel: Channel,
    monitor: Monitor,
  ) {
    this.kernel = kernel;
    this.options = options;
    this.process = process;
    this.channel = channel;
    this.monitor = monitor;
    this.#watchdog = watchdog;
  }

  /** Boots a kernel, loads its modules and moves the agent to the fast line. Throws `KernelUnfit` if it cannot be. */
  static boot(kernel: KernelFiles, options: QemuOptions): GuestKernel {
    const folder = makeRunFolder();
    const initrd = join(folder, FILES.initrd);
    writeFileSync(initrd, initramfs(kernel.modules));
    const { process, watchdog } = start(kernel, initrd, folder, options, []);
    try {
      const serial = openWhenThere(join(folder, 'serial'), () => process.alive, options.bootPatience);
      const monitor = new Monitor(Line.open(join(folder, 'monitor')));
      const channel = new Channel(serial, watchdog, autopsy(process, watchdog));
      const guest = new GuestKernel(kernel, options, process, watchdog, channel, monitor);
      watchdog.patience = options.bootPatience;
      guest.channel.awaitHello();
      guest.#prepare();
      watchdog.patience = options.patience;
      return guest;
    } catch (error) {
      const why = whyDead(process, error);
      watchdog.stop();
      process.stop();
      throw error instanceof KernelUnfit
        ? error
        : new KernelUnfit(`kernel ${kernel.image} did not start: ${why}`);
    }
  }

  /** Ends QEMU and removes everything it had. */
  stop(): void {
    this.#watchdog.stop();
    this.process.stop();
    this.channel.line.close();
    this.monitor.close();
  }

  /** Stops the guest and writes its whole state to a folder of its own, from which others can be resumed. */
  save(): Snapshot {
    const folder = makeRunFolder();
    const file = join(folder, 'state');
    this.monitor.command('stop');
    this.monitor.command('migrate-set-parameters', { 'max-bandwidth': 10 * 2 ** 30 });
    this.monitor.command('migrate', { uri: `exec:cat > '${file}'` });
    for (;;) {
      const { status, 'error-desc': why } = this.monitor.command('query-migrate') as Record<string, string>;
      if (status === 'completed') break;
      if (status === 'failed') throw new Error(`QEMU could not save its state: ${why}`);
      sleepSync(10);
    }
    copyFileSync(join(this.process.folder, FILES.disk), join(folder, FILES.disk));
    copyFileSync(join(this.process.folder, FILES.initrd), join(folder, FILES.initrd));
    this.monitor.command('cont');
    return { kernel: this.kernel, options: this.options, folder };
  }

  /** A new QEMU in the state of the snapshot. */
  static resume(snapshot: Snapshot): GuestKernel {
    const { kernel, options } = snapshot;
    const folder = makeRunFolder();
    const incoming = ['-incoming', `exec:cat '${join(snapshot.folder, 'state')}'`];
    copyFileSync(join(snapshot.folder, FILES.disk), join(folder, FILES.disk));
    const initrd = join(snapshot.folder, FILES.initrd);
    const { process, watchdog } = start(kernel, initrd, folder, options, incoming);
    try {
      const line = openWhenThere(join(folder, 'monitor'), () => process.alive, options.bootPatience);
      const monitor = new Monitor(line);
      while ((monitor.command('query-status') as Record<string, unknown>).status === 'inmigrate')
        sleepSync(5);
      monitor.command('cont');
      const channel = new Channel(Line.open(join(folder, 'channel')), watchdog, autopsy(process, watchdog));
      return new GuestKernel(kernel, options, process, watchdog, channel, monitor);
    } catch (error) {
      const why = whyDead(process, error);
      watchdog.stop();
      process.stop();
      throw new Error(`QEMU did not resume from its snapshot: ${why}`);
    }
  }

  /** File systems, modules, and the fast line. */
  #prepare(): void {
    const mounts = [
      ['devtmpfs', '/dev', 'DEVTMPFS'],
      ['proc', '/proc', 'PROC_FS'],
      ['sysfs', '/sys', 'SYSFS'],
    ] as const;
    for (const [type, at, option] of mounts) {
      this.#must(option, (b) =>
        b.call(SYS.mount, [b.text(type), b.text(at), b.text(type), 0, 0], `mounting ${type}`),
      );
    }
    for (const module of this.kernel.modules) this.#load(module);
    const fast = this.#must('VIRTIO_CONSOLE', (b) =>
      b.call(SYS.open, [b.text('/dev/vport0p1'), O_RDWR], '/dev/vport0p1'),
    );
    const { line } = this.channel;
    const port = Line.open(join(this.process.folder, 'channel'));
    const b = new Batch();
    b.call(SYS.dup2, [fast, 0], 'dup2()');
    b.call(SYS.dup2, [fast, 1], 'dup2()');
    // The batch goes out over the serial line, and its answer comes back over the new one.
    line.takeOver({ input: port });
    this.channel.send(b);
    line.takeOver({ output: port });
    port.close();
  }

  #load(module: ModuleFile): void {
    const b = new Batch();
    const fd = b.call(SYS.open, [b.text(modulePath(module)), 0], `opening module ${module.info.name}`);
    const params = this.options.shadow && module.info.name === 'kvm_amd' ? 'npt=0' : '';
    b.call(SYS.finit_module, [fd, b.text(params), 0], `loading module ${module.info.name}`);
    b.call(SYS.close, [fd]);
    this.channel.send(b);
  }

  /** One call that fails only where the kernel was built without something. */
  #must(option: string, call: (b: Batch) => { record: number }): number {
    const b = new Batch();
    const result = call(b);
    try {
      return this.channel.send(b).value(result);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      throw new KernelUnfit(`kernel ${this.kernel.image} lacks CONFIG_${option} (${error.message})`);
    }
  }
}

/** A guest's whole state on disk. */
export interface Snapshot {
  readonly kernel: KernelFiles;
  readonly options: QemuOptions;
  readonly folder: string;
}

/** Removes a snapshot. */
export function discard(snapshot: Snapshot): void {
  rmSync(snapshot.folder, { recursive: true, force: true });
}

function start(
  kernel: KernelFiles,
  initrd: string,
  folder: string,
  options: QemuOptions,
  more: readonly string[],
): { process: GuardedProcess; watchdog: Watchdog } {
  mkdirSync(folder, { recursive: true });
  makePipes(folder, PIPES);
  const disk = openSync(join(folder, FILES.disk), 'a');
  ftruncateSync(disk, DISK_BYTES);
  closeSync(disk);
  const args = [...qemuArguments(kernel, initrd, folder, options), ...more];
  const process = new GuardedProcess({ folder, command: options.command, args, log: FILES.log });
  return { process, watchdog: new Watchdog(process.guardPid, options.patience) };
}

/** What is made of a death: who died, and what the console said last. */
function autopsy(process: GuardedProcess, watchdog: Watchdog): () => Error {
  return () => {
    const hung = watchdog.barked;
    const how = hung ? `no answer within ${watchdog.patience / 1000} s` : 'the kernel died';
    return new MachineLost(
      hung ? 'hung' : 'kernel-panic',
      [how, lastWords(process)].filter(Boolean).join(': '),
    );
  };
}

function whyDead(process: GuardedProcess, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const qemu = process.text(FILES.log).trim().split('\n')[0];
  return [message, qemu, lastWords(process)].filter(Boolean).join('; ');
}

function lastWords(process: GuardedProcess): string {
  const lines = process
    .text(FILES.console)
    .split(/\r?\n/)
    .filter((l) => l.trim() !== '');
  const telling = lines.filter((l) => LAST_WORDS.test(l));
  return (telling.length > 0 ? telling.slice(0, 3) : lines.slice(-3)).join(' | ');
}
