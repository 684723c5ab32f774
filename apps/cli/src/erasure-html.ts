import type { ErasureCertificate } from '@cryptvisor/control-plane-api'
import { erasureSections } from './erasure-words.ts'

const style = [
  'body{font:11pt/1.4 sans-serif;max-width:50em;margin:2em auto;color:#111}',
  'h1{font-size:18pt}h2{font-size:13pt;margin-top:1.5em}',
  'table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.2em .6em .2em 0;border-bottom:1px solid #ccc;overflow-wrap:anywhere}th{white-space:nowrap;width:12em}',
  'pre{font-size:7pt;white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #ccc;padding:.5em}',
  '@page{size:A4;margin:18mm}@media print{body{margin:0;max-width:none}tr,li{break-inside:avoid}}',
].join('')

/** A certificate of erasure as one page without scripts, ready to be printed; the signed statement is at its end. */
export function erasureHtml(certificate: ErasureCertificate, statement: string): string {
  const sections = erasureSections(certificate).map(({ title, entries, sentences }, index) => {
    const tag = index === 0 ? 'h1' : 'h2'
    const rows = entries.map(([name, value]) => `<tr><th>${escaped(name)}</th><td>${escaped(value ?? '-')}</td></tr>\n`)
    const items = sentences.map((sentence) => `<li>${escaped(sentence)}</li>\n`)
    return [
      `<${tag}>${escaped(title)}</${tag}>\n`,
      rows.length === 0 ? '' : `<table>\n${rows.join('')}</table>\n`,
      items.length === 0 ? '' : `<ul>\n${items.join('')}</ul>\n`,
    ].join('')
  })
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Certificate of erasure: ${escaped(certificate.vm.name)}</title>
<style>${style}</style></head><body>
${sections.join('')}<h2>Signed statement</h2>
<p>This page says what the statement below says; only the statement is signed. Save it as a file and check it with
<code>cryptvisor vm erase-certificate verify FILE --ca ca.pem</code>, or with any JOSE library (JWS, ES256).</p>
<pre>${escaped(statement)}</pre>
</body></html>
`
}

/** Text as HTML. */
function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
