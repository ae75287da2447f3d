"""Logs with our client to a real MLflow server and reads the run back with MLflow's own client.

usage: mlflow_server_test.py PROBE, where PROBE is the program made of mlflow_probe.cpp
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["no_proxy"] = "127.0.0.1"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(url, server, log):
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url + "/health", timeout=2).close()
            return
        except OSError:
            time.sleep(0.5)
    sys.exit("the MLflow server did not start:\n" + open(log).read()[-3000:])


def probe(program, url, **variables):
    environment = dict(os.environ, MLFLOW_TRACKING_URI=url, MLFLOW_EXPERIMENT_NAME="txtsum probe/é", **variables)
    began = time.monotonic()
    result = subprocess.run([program], env=environment, stdout=subprocess.PIPE, text=True, timeout=120)
    print(f"probe: {time.monotonic() - began:.1f} s, {result.stdout.strip()}")
    return result.returncode, json.loads(result.stdout)


def check(condition, message):
    if not condition:
        sys.exit("failed: " + message)


def check_run(client, run_id):
    run = client.get_run(run_id)
    check(run.info.status == "FINISHED", run.info.status)
    check(run.info.run_name == "probe", run.info.run_name)
    params = run.data.params
    check(params["note"] == 'é "quoted" \n two lines', repr(params["note"]))
    check(params["long"] == "x" * 497 + "...", "the long value")
    check(params["attempt"] == "1", params["attempt"])
    check(run.data.tags["commit"] == "abc" and run.data.tags["phase"] == "resumed", str(run.data.tags))
    losses = {metric.step: metric.value for metric in client.get_metric_history(run_id, "train/loss")}
    check(losses == {step: 1.0 / step for step in range(1, 2001)}, "the series of train/loss")
    check(run.data.metrics["eval/rougeLsum"] == 42.125, "eval/rougeLsum")


def main(program):
    from mlflow.tracking import MlflowClient

    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{free_port()}"
        log = folder + "/server.log"
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", url.rsplit(":")[-1],
                   "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
                   "--default-artifact-root", folder + "/artifacts"]
        server = subprocess.Popen(command, stdout=open(log, "w"), stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_until_ready(url, server, log)
            code, first = probe(program, url)
            check(code == 0 and first["sent_metrics"] == 2001, str(first))
            code, second = probe(program, url, MLFLOW_RUN_ID=first["run_id"])
            check(code == 0 and second["run_id"] == first["run_id"], str(second))
            check(second["kept_params"] == 4, str(second))
            check_run(MlflowClient(url), first["run_id"])
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)
        code, gone = probe(program, url)
        check(code != 0 and gone["sent_metrics"] == 0, str(gone))
    print("passed")


main(*sys.argv[1:])
