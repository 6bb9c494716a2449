import { expect, test } from '@jest/globals'
import { docErrors } from '../../scripts/docs.ts'
import { fileTree, inProject, projectRoot, run } from './project.ts'

const errorsIn = (text: string): string[] => {
  using tree = fileTree({
    'docs/page.md': text,
    'docs/other.md': '# One *thing*, twice\n',
    'x.ts': '',
  })
  return docErrors({ root: tree.path, page: 'docs/page.md', scripts: ['bench', 'start'] })
}

test('every link and npm command in the pages of this project exists', () => {
  expect(
    run(process.execPath, [inProject('scripts/check-docs.ts')], { cwd: projectRoot }),
  ).toMatchObject({
    status: 0,
    stderr: '',
  })
})

test('a link to nothing, to no heading and out of the repository are told apart', () => {
  expect(
    errorsIn('[a](gone.md) [b](other.md#two) [c](../../etc/hosts)\n\n[d]: ./gone-too.md\n'),
  ).toEqual([
    'docs/page.md: gone.md leads nowhere',
    'docs/page.md: other.md#two names no heading',
    'docs/page.md: ../../etc/hosts leads out of the repository',
    'docs/page.md: ./gone-too.md leads nowhere',
  ])
})

test('sound links, links elsewhere and examples in code pass', () => {
  expect(
    errorsIn(
      '# Here\n[a](other.md) [b](other.md#one-thing-twice) [c](#here) [d](../x.ts)\n' +
        '[e](https://example.org/x) `[f](gone.md)`\n\n```\n[g](gone.md)\n```\n',
    ),
  ).toEqual([])
})

test('a command that package.json lacks is found in code, and prose about npm is left alone', () => {
  expect(
    errorsIn(
      'With npm ci all is well. `npm run bench`, `npm start`, `npm ci && npm strat`\n\n    npm run gone\n',
    ),
  ).toEqual([
    'docs/page.md: `npm gone` is not in package.json',
    'docs/page.md: `npm strat` is not in package.json',
  ])
})
