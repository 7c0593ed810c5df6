-- wrk's results as one line of JSON; times in microseconds.
done = function(summary, latency)
  local errors = summary.errors
  -- `requests` counts only those that were answered.
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"done":%d,"failed":%d,"seconds":%f,"latency":{"p50":%d,"p90":%d,"p99":%d}}\n',
    summary.requests + lost, lost + errors.status, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(90), latency:percentile(99)))
end
