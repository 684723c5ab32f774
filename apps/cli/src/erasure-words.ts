import type { ErasureCertificate } from '@cryptvisor/control-plane-api'
import { keyName } from './key-name.ts'
import { line } from './printable.ts'
import { formatSize } from './quantity.ts'
import { sheet } from './table.ts'

/** A part of a certificate: named values, or sentences. */
interface Section {
  readonly title: string
  readonly entries: readonly (readonly [name: string, value: string | null])[]
  readonly sentences: readonly string[]
}

/** What a certificate of erasure says, for people, in the order in which they ask for it. */
export function erasureSections(certificate: ErasureCertificate): readonly Section[] {
  const { vm, keys, hosts } = certificate
  return [
    {
      title: 'Certificate of erasure',
      entries: [
        ['VM', vm.name],
        ['VM ID', vm.id],
        ['where', `${vm.path} (datastore ${vm.datastore}, cluster ${vm.cluster})`],
        ['asked for by', certificate.requestedBy],
        ['approved by', certificate.approvedBy],
        ['reason', certificate.reason],
        ['begun', certificate.begunAt],
        ['files removed', certificate.filesRemovedAt],
        ['issued', certificate.issuedAt],
        ['approval', certificate.approval],
        ['task', certificate.task],
        ['control plane', `CA ${certificate.controlPlane}`],
      ],
      sentences: [],
    },
    {
      title: 'Disks',
      entries: vm.disks.map(({ number, sizeBytes, layerId, luksUuid, device, encrypted }) => [
        `disk ${number}`,
        `${formatSize(sizeBytes)}, layer ${layerId}, ${encrypted ? `LUKS ${luksUuid ?? ''}` : 'plain'}${device === null ? '' : `, on ${device}`}`,
      ]),
      sentences: vm.disks.length === 0 ? ['It had none.'] : [],
    },
    {
      title: 'Keys that were destroyed: all that its data was ever encrypted with',
      entries: keys.map((key) => [
        keyName(key) ?? '',
        `${key.destroyedAt}${key.before ? ' (confirmed again; destroyed before)' : ''}; the provider says: ${key.answer ?? 'there is no such key'}`,
      ]),
      sentences: [],
    },
    {
      title: 'Hosts',
      entries: hosts.map(({ name, outcome, at, text }) => [name, `${outcome} ${at}: ${text}`]),
      sentences: [],
    },
    { title: 'What this does not reach', entries: [], sentences: certificate.notReached },
  ]
}

/** The same as text. */
export function erasureText(certificate: ErasureCertificate): string {
  return erasureSections(certificate)
    .map(
      ({ title, entries, sentences }) =>
        line(title) +
        (entries.length === 0 ? '' : sheet(entries.map(([name, value]) => [`  ${name}`, value] as const))) +
        sentences.map((sentence) => line(`  - ${sentence}`)).join(''),
    )
    .join('\n')
}
