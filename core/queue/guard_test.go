package queue_test

import (
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

var (
	_ api.Queue     = (*queue.Queue)(nil)
	_ minions.Queue = (*queue.Queue)(nil)
)
