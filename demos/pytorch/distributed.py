# SPDX-License-Identifier: BSD-3-Clause
# Two processes train one model with torch.distributed over gloo. distributed.py fork|spawn
import hashlib, os, socket, sys
import torch
from torch import distributed, multiprocessing, nn

def work(rank, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(1)
    model = nn.parallel.DistributedDataParallel(
        nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2)))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    random = torch.Generator().manual_seed(rank)
    for _ in range(50):
        x = torch.randn(256, 64, generator=random)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), (x.sum(1) > 0).long()).backward()
        optimizer.step()
    digest = hashlib.sha256()
    for p in model.parameters():
        digest.update(p.detach().numpy().tobytes())
    total = torch.ones(4) * (rank + 1)
    distributed.all_reduce(total)
    results.put((rank, digest.hexdigest(), total.tolist()))
    distributed.barrier()
    distributed.destroy_process_group()

if __name__ == "__main__":
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    context = multiprocessing.get_context(sys.argv[1])
    results = context.SimpleQueue()
    workers = multiprocessing.start_processes(work, (port, results), 2, join=False,
                                              start_method=sys.argv[1])
    for line in sorted(results.get() for _ in range(2)):
        print(*line)
    while not workers.join():
        pass
