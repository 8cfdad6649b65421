# SPDX-License-Identifier: BSD-3-Clause
# A small convolutional net on synthetic pictures: training, saving and loading, TorchScript,
# inference. What it prints depends on every bit of the weights.
#   train.py THREADS LOADER_WORKERS EPOCHS FOLDER
import hashlib, os, sys, time
begin = time.time()
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
print("time import", time.time() - begin, file=sys.stderr)
threads, workers, epochs = (int(a) for a in sys.argv[1:4])
torch.manual_seed(1)
torch.set_num_threads(threads)
torch.use_deterministic_algorithms(True)
x = torch.randn(1024, 1, 16, 16)
y = (x.mean((1, 2, 3)) > 0).long()

def net():
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(32 * 16, 2))

model = net()
optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
loader = DataLoader(TensorDataset(x, y), 64, shuffle=True, num_workers=workers)
begin = time.time()
for epoch in range(epochs):
    for pictures, labels in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(pictures), labels)
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss %.6f" % loss.item())
print("time train", time.time() - begin, file=sys.stderr)
digest = hashlib.sha256()
for p in model.parameters():
    digest.update(p.detach().numpy().tobytes())
print("weights", digest.hexdigest())
path = os.path.join(sys.argv[4], "model-%d.pt" % os.getpid())
torch.save(model.state_dict(), path)
loaded = net()
loaded.load_state_dict(torch.load(path))
os.unlink(path)
script = torch.jit.script(loaded.eval())
begin = time.time()
with torch.no_grad():
    for _ in range(10):
        out = script(x)
print("time infer", time.time() - begin, file=sys.stderr)
print("TorchScript equal:", torch.equal(out, loaded(x)),
      "right:", (out.argmax(1) == y).float().mean().item())
