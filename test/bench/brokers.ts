import { amqpBench } from "./amqp-bench.ts";
import { beanstalkBench } from "./beanstalk-bench.ts";
import type { BrokerBench } from "./broker-bench.ts";
import { kafkaBench } from "./kafka-bench.ts";
import { natsBench } from "./nats-bench.ts";
import { sqsBench } from "./sqs-bench.ts";

/** Brokers with a bench of their own, named by the kind of their driver. */
export const BROKER_BENCHES: readonly BrokerBench[] = [amqpBench, beanstalkBench, kafkaBench, natsBench, sqsBench];
