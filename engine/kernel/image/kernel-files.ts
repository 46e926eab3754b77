/**
 * Finds a kernel and its modules where the user says they are: a bzImage with everything built in, an unpacked
 * distribution package, either of them with modules of the user's own in front.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type ModuleInfo, moduleInfo } from './module-info.ts';

/** A kernel cannot be used as it is; the message says what is missing, where, and what would be right. */
export class KernelUnfit extends Error {
  override readonly name = 'KernelUnfit';
}

/** A module to load, unpacked. */
export interface ModuleFile {
  readonly info: ModuleInfo;
  readonly data: Uint8Array;
}

/** A kernel ready to be booted. */
export interface KernelFiles {
  /** The bzImage. */
  readonly image: string;
  /** `uname -r`, as the image says. */
  readonly release: string;
  /** Modules in the order they are to be loaded; empty when everything is built in. */
  readonly modules: readonly ModuleFile[];
  /** Lines of the kernel's configuration, where it lies beside the image. */
  readonly config: string | undefined;
}

/** What the engine needs of a kernel: the module that has it, the option that builds it, and what for. */
const NEEDED: readonly { readonly module: string; readonly option: string }[] = [
  { module: 'virtio_pci', option: 'VIRTIO_PCI' },
  { module: 'virtio_console', option: 'VIRTIO_CONSOLE' },
  { module: 'virtio_blk', option: 'VIRTIO_BLK' },
  { module: 'kvm', option: 'KVM' },
  { module: 'kvm_amd', option: 'KVM_AMD' },
];
/** Options that must be built in. */
const BUILT_IN = [
  'BLK_DEV_INITRD',
  'DEVTMPFS',
  'MEMFD_CREATE',
  'SERIAL_8250',
  'CROSS_MEMORY_ATTACH',
  'PROC_FS',
];

/**
 * Finds what `path` names: an image, or a folder with `boot/` and `lib/modules/`; `+FILE.ko` behind it puts a module in
 * place of the kernel's own.
 */
export function findKernel(path: string): KernelFiles {
  const [where = '', ...own] = path.split('+').map((p, i) => (i === 0 ? resolve(p) : p));
  if (!existsSync(where)) throw new KernelUnfit(`kernel ${where}: no such file or folder`);
  const image = statSync(where).isDirectory() ? imageIn(where) : where;
  const release = releaseOf(image);
  const root = [where, dirname(dirname(image))].find((r) => modulesFolder(r, release) !== undefined);
  const folder = root === undefined ? undefined : modulesFolder(root, release);
  const configFile = [join(dirname(image), `config-${release}`), join(folder ?? '', 'config')].find((f) =>
    existsSync(f),
  );
  const config = configFile === undefined ? undefined : readFileSync(configFile, 'utf8');
  if (config !== undefined) checkConfig(config, image);
  const owned = new Map(own.map((file) => readOwn(file, release)).map((m) => [m.info.name, m]));
  const modules = folder === undefined ? [...owned.values()] : resolveModules(folder, owned, image);
  return { image, release, modules, config };
}

function imageIn(folder: string): string {
  for (const place of [join(folder, 'boot'), folder, join(folder, 'arch/x86/boot')]) {
    const found = existsSync(place)
      ? readdirSync(place).filter((f) => /^(vmlinuz|bzImage)/.test(f) && !f.endsWith('.old'))
      : [];
    if (found.length > 1)
      throw new KernelUnfit(
        `kernel ${place}: ${found.length} images (${found.join(', ')}): name one of them`,
      );
    if (found[0] !== undefined) return join(place, found[0]);
  }
  throw new KernelUnfit(`kernel ${folder}: no boot/vmlinuz-* and no bzImage in it`);
}

/** The boot protocol's header (Documentation/arch/x86/boot.rst): magic at 0x202, pointer to the version at 0x20e. */
function releaseOf(image: string): string {
  const bytes = readFileSync(image);
  if (bytes.length < 0x1000 || bytes.toString('latin1', 0x202, 0x206) !== 'HdrS')
    throw new KernelUnfit(`kernel ${image}: not a bzImage (no boot header in it)`);
  const at = 0x200 + bytes.readUInt16LE(0x20e);
  const text = bytes.toString('latin1', at, at + 128);
  return text.slice(0, text.search(/[\0 ]/));
}

function modulesFolder(root: string, release: string): string | undefined {
  return ['lib/modules', 'usr/lib/modules'].map((p) => join(root, p, release)).find((p) => existsSync(p));
}

function checkConfig(config: string, image: string): void {
  const has = (option: string, values: string): boolean =>
    new RegExp(`^CONFIG_${option}=[${values}]$`, 'm').test(config);
  const missing = [
    ...BUILT_IN.filter((o) => !has(o, 'y')),
    ...NEEDED.map((n) => n.option).filter((o) => !has(o, 'ym')),
  ];
  if (missing.length > 0)
    throw new KernelUnfit(`kernel ${image} is built without ${missing.map((o) => `CONFIG_${o}`).join(', ')}`);
}

/** What is needed and what that depends on, each after what it needs. */
function resolveModules(
  folder: string,
  own: ReadonlyMap<string, ModuleFile>,
  image: string,
): readonly ModuleFile[] {
  const builtIn = new Set(
    (readText(join(folder, 'modules.builtin')) ?? '').split('\n').map((line) => nameOf(line)),
  );
  const files = new Map(walk(folder).map((file) => [nameOf(file), file]));
  const ordered = new Map<string, ModuleFile>();
  const add = (name: string, option: string): void => {
    if (ordered.has(name) || (builtIn.has(name) && !own.has(name))) return;
    const file = files.get(name);
    const module = own.get(name) ?? (file === undefined ? undefined : readModule(file));
    if (module === undefined)
      throw new KernelUnfit(
        `kernel ${image}: module ${name} is neither in ${folder} nor built in (${option})`,
      );
    for (const needed of module.info.depends) add(needed.replaceAll('-', '_'), `${name} needs it`);
    ordered.set(name, module);
  };
  for (const { module, option } of NEEDED) add(module, `CONFIG_${option}`);
  return [...ordered.values()];
}

/** A module's name, from its file's: `kvm-amd.ko.xz` is kvm_amd. */
const nameOf = (file: string): string =>
  basename(file)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((e) => e.isFile() && /\.ko(\.\w+)?$/.test(e.name))
    .map((e) => join(e.parentPath, e.name));
}

function readOwn(file: string, release: string): ModuleFile {
  if (!existsSync(file)) throw new KernelUnfit(`module ${file}: no such file`);
  const module = readModule(file);
  if (module.info.vermagic.split(' ')[0] !== release)
    throw new KernelUnfit(
      `module ${file} was built for ${module.info.vermagic}, and the kernel is ${release}`,
    );
  return module;
}

function readModule(file: string): ModuleFile {
  const data = unpacked(file);
  const info = moduleInfo(data);
  if (info === undefined) throw new KernelUnfit(`module ${file}: not a kernel module`);
  return { info: { ...info, name: info.name.replaceAll('-', '_') }, data };
}

/** What unpacks a module, by the ending of its file. */
const UNPACKERS: Readonly<Record<string, string>> = { '.xz': 'xz', '.zst': 'zstd' };

function unpacked(file: string): Uint8Array {
  if (file.endsWith('.gz')) return gunzipSync(readFileSync(file));
  const command = Object.entries(UNPACKERS).find(([ending]) => file.endsWith(ending))?.[1];
  if (command === undefined) return readFileSync(file);
  try {
    return execFileSync(command, ['-dc', file], { maxBuffer: 1 << 28 });
  } catch {
    throw new KernelUnfit(`module ${file}: cannot be unpacked (is ${command} installed?)`);
  }
}

function readText(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
