"""Embed on a Ray cluster of two nodes on the loopback address, each with room for one worker.

Started as ``python on_two_nodes.py TROUBLE MODEL CORPUS OUT``. After the first answer ``worker`` kills
the workers that run, ``node`` the second node, and ``none`` nothing. Prints which workers there were.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.engines.engine import find_engine
from sora_video.pretrain.encoders.engines.ray_cluster import ALONE, SETTINGS, quiet
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.parts import embed_to
from sora_video.pretrain.video.corpus import open_corpus


def workers(raylets: list[int]) -> dict[int, int]:
    """The processes that embed, and the nodes that they are of."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, status = (folder / "cmdline").read_bytes(), (folder / "stat").read_text()
        except OSError:  # it has ended
            continue
        parent = int(status.rpartition(")")[2].split()[1])
        if name.startswith(b"ray::MapWorker") and parent in raylets:
            found[int(folder.name)] = parent
    return found


def start() -> Any:
    """A cluster of two nodes."""
    os.environ.update(SETTINGS | ALONE)
    with quiet():
        from ray.cluster_utils import Cluster

        logging.getLogger("ray").setLevel(logging.ERROR)
        cluster = Cluster()
        for host in (1, 2):  # by its address the driver finds the first, which is never killed
            cluster.add_node(num_cpus=1, node_ip_address=f"127.0.0.{host}", include_dashboard=False)
    return cluster


def main(trouble: str, model: str, corpus: str, out: str) -> None:
    """See the module."""
    cluster = start()
    (second,) = cluster.worker_nodes
    nodes = [node.all_processes["raylet"][0].process.pid for node in (cluster.head_node, second)]
    on_ray, seen, killed = find_engine("ray", cluster.address, 1), dict[int, int](), list[int]()

    def troubled(*arguments: Any) -> Iterator[Embeddings]:
        for table in on_ray(*arguments):
            yield table
            now = workers(nodes)
            if not seen and trouble == "worker":
                killed.extend(now)
                for process in now:
                    os.kill(process, signal.SIGKILL)
            elif not seen and trouble == "node":
                cluster.remove_node(second, allow_graceful=False)
            seen.update(now)

    embed_to(load_encoder(model), open_corpus(corpus), Path(out), troubled)
    cluster.shutdown()
    print(json.dumps({"workers": [*seen], "killed": killed, "nodes": len(set(seen.values()))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
