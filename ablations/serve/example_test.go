// SPDX-License-Identifier: Apache-2.0

package serve_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"metrolab/ablations/serve"
)

func Example() {
	handler := serve.Site{Root: "nothing/here"}.Handler()
	for _, address := range []string{"http://127.0.0.1:7117/", "http://elsewhere.example/"} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, address, nil))
		fmt.Println(answer.Code, strings.Contains(answer.Body.String(), "No runs yet"))
	}
	// Output:
	// 200 true
	// 421 false
}
