"""A classifier for other programs: one server, several dialects, one handler behind them.

limits          the largest request, and how many may wait
refusal         the answer to a request that is refused: a status and a sentence
batcher         pictures of many requests through the network together
served          one version of one model: checked, with its batcher and its classifier for explanations
models          the models by name; a new version takes the place of the old
gate            counts the pictures and bytes in work
explain         explanations, one at a time beside the predictions
handler         turns pictures into predictions, within the limits; all dialects call it
bodies, forms   a request's body, within the limits: its JSON, its base64, its files
wire            answers as JSON
v1, open_inference, tensors, hugging_face      the dialects
rpc, messages   Open Inference over gRPC
openapi, index  what OpenAPI says of bodies; the page at /docs
entrance        checks access, logs and counts each request
metrics         counters that all workers share, for Prometheus
logs            a line of JSON for each event
page            the page for browsers, at /
application     the dialects behind the entrance
protocol        HTTP, with limits on unfinished requests
running         one process that listens, and its signals
workers         several of them that share the weights
"""
