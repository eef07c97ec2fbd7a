import { describe, expect, test } from "@jest/globals";
import { JobContexts } from "../../../../src/adapters/php-pool/job-context.ts";
import { toHeaders } from "../../../../src/domain/job-headers.ts";
import { aTask } from "../../../support/worker-tasks.ts";

describe("the context of a job", () => {
  test.each([
    ["memory", undefined, '{"id":"i","job":"n","driver":"memory","headers":{},"pipeline":"p"}'],
    ["amqp", "q", '{"id":"i","job":"n","driver":"amqp","queue":"q","headers":{},"pipeline":"p"}'],
    ["sqs", "q", '{"id":"i","job":"n","driver":"sqs","headers":{},"queue":"q","pipeline":"p"}'],
    ["beanstalk", "q", '{"id":"i","job":"n","driver":"beanstalk","headers":{},"queue":"q","pipeline":"p"}'],
    ["nats", "q", '{"id":"i","job":"n","driver":"nats","headers":{},"pipeline":"p","queue":"q"}'],
  ])("of %s has the original's keys in the original's order", (driver, queue, expected) => {
    const task = aTask({ id: "i", name: "n", pipeline: "p" }, { driver, queue });

    expect(new JobContexts().contextOf(task)).toBe(expected);
  });

  test("of kafka tells the place of the record", () => {
    const kafka = { topic: "t", metadata: "", offset: 42, partition: 3 };
    const task = aTask({ id: "i", name: "n", pipeline: "p", kafka }, { driver: "kafka", queue: "t" });

    expect(new JobContexts().contextOf(task)).toBe(
      '{"id":"i","job":"n","driver":"kafka","headers":{},"pipeline":"p","queue":"t","topic":"t","partition":3,"offset":42}',
    );
  });

  test("of kafka without a place still has the fields PHP needs", () => {
    const task = aTask({ id: "i", name: "n", pipeline: "p" }, { driver: "kafka", queue: "t" });

    expect(JSON.parse(new JobContexts().contextOf(task))).toMatchObject({ topic: "t", partition: 0, offset: 0 });
  });

  test("headers are an object of lists, empty lists included", () => {
    const task = aTask({
      headers: toHeaders([
        ["a", ["1", "€"]],
        ["b", []],
      ]),
    });

    expect(JSON.parse(new JobContexts().contextOf(task))).toMatchObject({ headers: { a: ["1", "€"], b: [] } });
  });

  test("any text in id, name, pipeline and queue stays what it is", () => {
    const nasty = '"\\\u0000\u2028😀</script>';
    const task = aTask({ id: nasty, name: nasty, pipeline: nasty }, { driver: "amqp", queue: nasty });

    const context: unknown = JSON.parse(new JobContexts().contextOf(task));

    expect(context).toEqual({ id: nasty, job: nasty, driver: "amqp", queue: nasty, headers: {}, pipeline: nasty });
  });

  test("jobs that differ in one field only do not get each other's context", () => {
    const contexts = new JobContexts();
    const jobs = [
      aTask({ id: "1", name: "a", pipeline: "p" }, { driver: "amqp", queue: "q" }),
      aTask({ id: "2", name: "b", pipeline: "p" }, { driver: "amqp", queue: "q" }),
      aTask({ id: "3", name: "a", pipeline: "o" }, { driver: "amqp", queue: "q" }),
      aTask({ id: "4", name: "a", pipeline: "p" }, { driver: "sqs", queue: "q" }),
      aTask({ id: "5", name: "a", pipeline: "p" }, { driver: "amqp", queue: "r" }),
      aTask({ id: "6", name: "a", pipeline: "p" }, { driver: "amqp", queue: undefined }),
      aTask({ id: "7", name: "a", pipeline: "p" }, { driver: "amqp", queue: "q" }),
    ];

    for (const task of jobs) {
      const { id, name, pipeline } = task.job;
      const queue = task.queue === undefined ? {} : { queue: task.queue };
      const expected = { id, job: name, driver: task.driver, ...queue, headers: {}, pipeline };
      expect(JSON.parse(contexts.contextOf(task))).toEqual(expected);
    }
  });

  test("more names than are remembered are still right", () => {
    const contexts = new JobContexts();

    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 1500; index++) {
        const context: unknown = JSON.parse(contexts.contextOf(aTask({ name: `n${index}` })));
        expect(context).toHaveProperty("job", `n${index}`);
      }
    }
  });
});
