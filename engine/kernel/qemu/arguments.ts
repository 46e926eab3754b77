/** QEMU's command line for one guest kernel. */
import { join } from 'node:path';
import type { KernelFiles } from '../image/kernel-files.ts';

/** How guests are run. */
export interface QemuOptions {
  /** The program; `qemu-system-x86_64` unless said. */
  readonly command: string;
  /** The guest's clock counts its instructions, so that a TSC delta is a count of instructions. */
  readonly icount: boolean;
  /** The kernel under test pages its guests by shadow page tables. */
  readonly shadow: boolean;
  /** Megabytes of memory. */
  readonly memory: number;
  /** Milliseconds a kernel may take to say hello, and then for one answer. */
  readonly bootPatience: number;
  readonly patience: number;
}

/** What is used unless said otherwise. */
export const QEMU_DEFAULTS: QemuOptions = {
  command: 'qemu-system-x86_64',
  icount: true,
  shadow: false,
  memory: 256,
  bootPatience: 180_000,
  patience: 60_000,
};

/** Bytes of the disk that evictable files live on. */
export const DISK_BYTES = 16 << 20;
/** Names of files and pipes in a run folder. */
export const FILES = {
  initrd: 'initrd',
  disk: 'disk',
  console: 'console',
  log: 'qemu.err',
  trace: 'trace',
} as const;
/** The serial line the agent starts on, the channel it goes on with, the monitor. */
export const PIPES = ['serial', 'channel', 'monitor'] as const;

/** What the kernel is told: recorded with what was measured, for it changes counts. */
export function kernelCommandLine(options: QemuOptions): string {
  const own = options.shadow ? ' kvm_amd.npt=0' : '';
  return `console=ttyS0 quiet panic=-1 oops=panic softlockup_panic=1 mitigations=off nokaslr random.trust_cpu=on tsc=reliable${own}`;
}

/** The arguments; `initrd` is a path, everything else lies in `folder`. */
export function qemuArguments(
  kernel: KernelFiles,
  initrd: string,
  folder: string,
  options: QemuOptions,
): string[] {
  const at = (name: string): string => join(folder, name).replaceAll(',', ',,');
  const pipe = (name: string): string[] => ['-chardev', `pipe,id=${name},path=${at(name)}`];
  return [
    ...['-accel', 'tcg', '-cpu', 'max,+svm,+npt', '-M', 'pc', '-m', `${options.memory}`],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', kernel.image, '-initrd', initrd, '-append', kernelCommandLine(options)],
    ...(options.icount ? ['-icount', 'shift=0,sleep=off'] : []),
    ...PIPES.flatMap(pipe),
    ...[
      '-chardev',
      `file,id=console,path=${at(FILES.console)}`,
      '-serial',
      'chardev:console',
      '-serial',
      'chardev:serial',
    ],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=channel,name=faultline'],
    ...['-drive', `file=${at(FILES.disk)},if=virtio,format=raw,cache=unsafe`],
    ...['-mon', 'chardev=monitor,mode=control', '-D', join(folder, FILES.trace)],
  ];
}
