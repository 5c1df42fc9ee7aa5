#!/usr/bin/env python3
"""Serves the LiteLLM proxy on a free port of 127.0.0.1, and writes that port to a file once it listens.

It runs with a Python that has `litellm[proxy]`. No model stands behind it: it answers itself, with `[TARGET] ` before each
text, and the model that a call names decides what goes wrong:

  canned     nothing
  limited    429 without a hint
  exhausted  429 for a day
  flaky      500 when it sees a question for the first time
  slow       no answer when it sees a question for the first time

A key that begins with `sk-canned` may do everything, one with `sk-one-a-minute` make one call a minute, any other nothing.

usage: litellm-loopback.py PORT_FILE
"""

import asyncio
import ctypes
import json
import os
import secrets
import signal
import socket
import sys
import types

MODELS = ('canned', 'limited', 'exhausted', 'flaky', 'slow')
# The provider's name must be one that LiteLLM knows, because its Gemini route takes no other; it has no chat at Deepgram,
# so the handler below gets what is asked of it.
PROVIDER = 'deepgram'


def settings():
    """The proxy's settings: nothing is tried again there, so that a client sees each failure once."""
    return {
        'model_list': [
            {'model_name': name, 'litellm_params': {'model': '%s/%s' % (PROVIDER, name)}} for name in MODELS
        ],
        'router_settings': {'num_retries': 0, 'disable_cooldowns': True},
        'litellm_settings': {
            'num_retries': 0,
            'drop_params': True,
            'telemetry': False,
            'custom_provider_map': [{'provider': PROVIDER, 'custom_handler': 'canned.handler'}],
        },
        # It does not start without a master key; this one is told to nobody.
        'general_settings': {'custom_auth': 'canned.authenticate', 'master_key': 'sk-' + secrets.token_hex(32)},
    }


def die_with_parent():
    """Asks Linux to end this process when whoever started it is gone, however it went (prctl(2)).

    It is killed, since on a gentler signal it would wait for its slow model.
    """
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)


def write_whole(path, text):
    """Writes aside and renames, so that whoever polls the file never reads half of it."""
    aside = path + '.new'
    with open(aside, 'w') as file:
        file.write(text)
    os.replace(aside, path)


def question_of(messages):
    """The JSON of the last message, whose content is a text or a list of parts."""
    content = messages[-1]['content']
    if not isinstance(content, str):
        content = ''.join(part.get('text') or '' for part in content)
    return json.loads(content)


def translation_of(question):
    """The answer to a question, under its ids."""
    target = question['target']
    items = [{'id': item['id'], 'text': '[%s] %s' % (target, item['text'])} for item in question['items']]
    return json.dumps({'items': items}, ensure_ascii=False)


def canned_module():
    """What LiteLLM imports under the name `canned`: who answers, and who may ask."""
    import litellm
    from fastapi import HTTPException
    from litellm.llms.custom_llm import CustomLLM
    from litellm.proxy._types import UserAPIKeyAuth

    class Canned(CustomLLM):
        def __init__(self):
            super().__init__()
            self.seen = set()

        def is_new(self, model, question):
            """Whether this model has not seen these texts before; from now on it has."""
            texts = (model, *(item['text'] for item in question['items']))
            was_seen = texts in self.seen
            self.seen.add(texts)
            return not was_seen

        async def acompletion(self, model, messages, *_arguments, **_options):
            question = question_of(messages)
            if model == 'limited':
                raise litellm.RateLimitError('slow down', PROVIDER, model)
            if model == 'exhausted':
                raise litellm.RateLimitError(
                    'Rate limit reached on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. '
                    'Please try again in 9m38.016s.', PROVIDER, model)
            if model == 'flaky' and self.is_new(model, question):
                raise litellm.InternalServerError('broken on purpose', PROVIDER, model)
            if model == 'slow' and self.is_new(model, question):
                await asyncio.sleep(600)
            answer = translation_of(question)
            return litellm.completion(model='openai/canned', messages=messages, mock_response=answer)

    async def authenticate(_request, api_key):
        if api_key.startswith('sk-canned'):
            return UserAPIKeyAuth(api_key=api_key)
        if api_key.startswith('sk-one-a-minute'):
            return UserAPIKeyAuth(api_key=api_key, rpm_limit=1)
        raise HTTPException(status_code=401, detail='unknown key')

    module = types.ModuleType('canned')
    module.handler = Canned()
    module.authenticate = authenticate
    return module


async def serve(app, listener, port_file):
    import uvicorn
    server = uvicorn.Server(uvicorn.Config(app, log_level='warning'))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.02)
    if server.started:
        write_whole(port_file, '%d\n' % listener.getsockname()[1])
    await serving


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    port_file = sys.argv[1]
    die_with_parent()
    # JSON is YAML.
    settings_file = port_file + '.yaml'
    write_whole(settings_file, json.dumps(settings()))
    os.environ['CONFIG_FILE_PATH'] = settings_file
    # Without these it asks the network for prices and for names of features.
    os.environ['LITELLM_LOCAL_MODEL_COST_MAP'] = 'True'
    os.environ['LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS'] = 'True'
    sys.modules['canned'] = canned_module()
    from litellm.proxy.proxy_server import app
    listener = socket.create_server(('127.0.0.1', 0))
    asyncio.run(serve(app, listener, port_file))


if __name__ == '__main__':
    main()
