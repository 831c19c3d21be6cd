package statedb_test

import (
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

var (
	_ queue.Store     = (*statedb.DB)(nil)
	_ reconcile.Store = (*statedb.DB)(nil)
)
