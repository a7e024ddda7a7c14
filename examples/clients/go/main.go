// Asks for a score and reports what became of it:
//
//	go run . -scoring 127.0.0.1:50051 -feature 127.0.0.1:50052 -origin JFK -destination LAX
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	common "tidemark.example/client/tidemark/common/v1"
	outcomes "tidemark.example/client/tidemark/outcomes/v1"
	scoring "tidemark.example/client/tidemark/scoring/v1"
)

// Retries as gRPC does them itself: at most a tenth of what succeeds, and only where asking again can help.
const serviceConfig = `{
  "loadBalancingConfig": [{"round_robin": {}}],
  "methodConfig": [{
    "name": [{"service": "tidemark.scoring.v1.ScoringService"}, {"service": "tidemark.outcomes.v1.OutcomeService"}],
    "timeout": "1s",
    "retryPolicy": {
      "maxAttempts": 4, "initialBackoff": "0.02s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }],
  "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

func main() {
	scoringAddress := flag.String("scoring", "127.0.0.1:50051", "where inference listens")
	featureAddress := flag.String("feature", "", "where feature listens; empty reports no outcome")
	origin := flag.String("origin", "JFK", "where the flight begins")
	destination := flag.String("destination", "LAX", "where it ends")
	flag.Parse()
	if err := run(*scoringAddress, *featureAddress, *origin, *destination); err != nil {
		log.Fatal(err)
	}
}

func run(scoringAddress, featureAddress, origin, destination string) error {
	channel, err := dial(scoringAddress)
	if err != nil {
		return err
	}
	defer channel.Close()
	departs := time.Now().Add(time.Hour)
	// The id is made here, once: asked again under it, by gRPC or by us, the prediction counts once.
	id := fmt.Sprintf("%s-%s-%d", origin, destination, departs.UnixNano())
	score, err := scoring.NewScoringServiceClient(channel).Score(context.Background(), &scoring.ScoreRequest{
		Model:        "flight-delay",
		PredictionId: id,
		Entities:     map[string]string{"origin": origin, "destination": destination, "carrier": "DL", "tail_number": "N713TW"},
		Context: map[string]*common.Value{
			"scheduled_at":   {Kind: &common.Value_Time{Time: timestamppb.New(departs)}},
			"distance_miles": {Kind: &common.Value_Number{Number: 2475}},
		},
	})
	if err != nil {
		return fmt.Errorf("no score: %w", err)
	}
	fmt.Printf("%.3f from %s (%s), prediction %s\n", score.Score, score.Version, score.Variant, score.PredictionId)
	if featureAddress == "" {
		return nil
	}
	return report(featureAddress, score.PredictionId)
}

// report tells that the flight was late. Told again, it is the same outcome: label, request key and revision make its id.
func report(address, requestKey string) error {
	channel, err := dial(address)
	if err != nil {
		return err
	}
	defer channel.Close()
	_, err = outcomes.NewOutcomeServiceClient(channel).Report(context.Background(), &outcomes.ReportRequest{
		Outcomes: []*outcomes.ReportedOutcome{{Label: "arrived_late", RequestKey: requestKey, Value: 1}},
	})
	if err != nil {
		return fmt.Errorf("not reported: %w", err)
	}
	fmt.Println("reported: arrived_late = 1")
	return nil
}

func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(
		address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
	)
}
