-- Users who became present or absent in the cluster. They are published in the script that makes them so: no other
-- process has to survive for the news to reach the replicas.
local transitions = {}

local function transition(user, event, connections)
  transitions[#transitions + 1] = { userId = user, event = event, connections = connections }
end

-- The message has the form of all messages on the bus; `v` is the version of its data.
local function publishTransitions(channel, topic)
  if #transitions == 0 then return end
  local data = { v = 1, topic = topic, transitions = transitions }
  redis.call('PUBLISH', channel, cjson.encode({ kind = 'presence', from = '', data = data }))
end
