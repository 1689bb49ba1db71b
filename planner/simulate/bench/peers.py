"""M/M/4 at 80% in SimPy or Ciw, as each documentation writes such a queue: peers.py simpy|ciw CUSTOMERS SEED. Prints a line of JSON."""

import json
import random
import sys
import time

ARRIVALS, RATE, SERVERS = 320.0, 100.0, 4


def with_simpy(customers, seed):
    import simpy

    draw = random.Random(seed)
    environment = simpy.Environment()
    workers = simpy.Resource(environment, capacity=SERVERS)
    stays = [0.0, 0]

    def customer():
        came = environment.now
        with workers.request() as worker:
            yield worker
            yield environment.timeout(draw.expovariate(RATE))
        stays[0] += environment.now - came
        stays[1] += 1

    def arrivals():
        for _ in range(customers):
            yield environment.timeout(draw.expovariate(ARRIVALS))
            environment.process(customer())

    environment.process(arrivals())
    started = time.process_time()
    environment.run()
    took = time.process_time() - started
    # Every event gets the next number when it is scheduled.
    return took, stays[1], next(environment._eid), stays[0] / stays[1] * 1e3


def with_ciw(customers, seed):
    import ciw

    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=ARRIVALS)],
        service_distributions=[ciw.dists.Exponential(rate=RATE)],
        number_of_servers=[SERVERS],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    started = time.process_time()
    simulation.simulate_until_max_customers(customers, method="Finish")
    took = time.process_time() - started
    records = simulation.get_all_records()
    stays = [record.exit_date - record.arrival_date for record in records]
    # An arrival and the end of a service each.
    return took, len(stays), 2 * len(stays), sum(stays) / len(stays) * 1e3


def main(which, customers, seed):
    run = {"simpy": with_simpy, "ciw": with_ciw}[which]
    seconds, served, events, mean = run(int(customers), int(seed))
    print(json.dumps({"seconds": seconds, "customers": served, "events": events, "mean_ms": mean}))


if __name__ == "__main__":
    main(*sys.argv[1:])
