package minions

import (
	"fmt"
	"strconv"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// freeOf reads how much room a minion says it has; what can't be read was not
// told.
func freeOf(r *exchange.Request) int64 {
	free, err := strconv.ParseInt(r.Form.Get("free"), 10, 64)
	if err != nil || free < 0 {
		return 0
	}
	return free
}

// short says why a minion gets no job for want of room in its working area, or
// is "". One that does not tell has enough.
func (m *Minions) short(ask protocol.GiveMeJob) string {
	if m.minFree == nil || ask.Free == 0 {
		return ""
	}
	least := m.minFree()
	if ask.Free >= least {
		return ""
	}
	return fmt.Sprintf("only %d MB are free where its working area is, less than min-free (%d MB)", ask.Free/1e6, least/1e6)
}
