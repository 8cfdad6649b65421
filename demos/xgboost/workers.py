# SPDX-License-Identifier: BSD-3-Clause
# A tracker and two worker processes that train one model over sockets; each has half of the rows.
import hashlib, multiprocessing, os, sys
import numpy, xgboost
from xgboost.collective import CommunicatorContext
from xgboost.tracker import RabitTracker

def work(rank, arguments, results):
    os.dup2(2, 1)               # the library prints times and ranks as they come
    random = numpy.random.default_rng(rank)
    x = random.random((4000, 10))
    y = (x[:, 0] > x[:, 1]).astype(int)
    with CommunicatorContext(**arguments):
        data = xgboost.DMatrix(x, label=y)
        model = xgboost.train({"nthread": 1, "max_depth": 4, "tree_method": "hist",
                               "objective": "binary:logistic"}, data, 10)
        results.put(hashlib.sha256(bytes(model.save_raw("json"))).hexdigest())

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    tracker = RabitTracker(host_ip="127.0.0.1", n_workers=2)
    tracker.start()
    results = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(i, tracker.worker_args(), results))
               for i in range(2)]
    [w.start() for w in workers]
    models = [results.get(timeout=300) for _ in workers]
    [w.join() for w in workers]
    print("workers ended with", [w.exitcode for w in workers], "same model:",
          models[0] == models[1], models[0])
